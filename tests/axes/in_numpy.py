"""The losses of this folder in NumPy, with gradients by hand: a right one of each, and wrong ones."""

import numpy as np

from lossmark import Implementation

right = Implementation("right-numpy", framework="numpy")


def wide(*arrays):
    """Arrays in the dtype that sums accumulate in; refused where their dtypes are not one floating dtype."""
    (dtype,) = {x.dtype for x in arrays}
    if dtype.name not in ("float64", "float32", "float16", "bfloat16"):
        raise TypeError(f"dtype {dtype}")
    return [x.astype(np.float64 if dtype == np.float64 else np.float32) for x in arrays]


def expect_shapes(**shapes):
    """Raise ValueError for an array, given with its shape, that has another."""
    for name, (array, shape) in shapes.items():
        if array.shape != tuple(shape):
            raise ValueError(f"{name} has shape {array.shape}, expected {tuple(shape)}")


def reduced(losses, reduction, dtype):
    """The reduced loss."""
    if reduction == "mean" and not len(losses):
        raise ValueError("the mean of nothing")
    return np.asarray(
        {"none": losses, "sum": losses.sum(), "mean": losses.sum() / max(1, len(losses))}[reduction]
    ).astype(dtype)


def cotangents(losses, reduction):
    """The slope of the reduced loss by that of each example."""
    return np.full(len(losses), 1 / len(losses) if reduction == "mean" else 1.0, losses.dtype)


def softmax(x):
    """exp(x - lse(x)) along the last axis."""
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


# -- a learned scale ---------------------------------------------------------------------------------------------------


def logits_of(logits, target, scale):
    """The scaled logits; raises ValueError."""
    expect_shapes(target=(target, logits.shape[:1]), scale=(scale, ()))
    if ((target < 0) | (target >= logits.shape[1])).any():
        raise ValueError("target: no such class")
    x, s = wide(logits, scale)
    return x, s, x * s


@right.loss
def scaled_cross_entropy(logits, target, scale, *, reduction="mean"):
    """lse(s·x) - s·x_y."""
    _, _, z = logits_of(logits, target, scale)
    rows, most = np.arange(len(z)), z.max(1)
    losses = np.log(np.exp(z - most[:, None]).sum(1)) + (most - z[rows, target])
    return reduced(losses, reduction, logits.dtype)


def slopes_of_scaled(logits, target, scale, reduction):
    """The slopes by the scaled logits, with these and the scale."""
    x, s, z = logits_of(logits, target, scale)
    slopes = softmax(z)
    rows = np.arange(len(z))
    rest = slopes.copy()
    rest[rows, target] = 0
    slopes[rows, target] = -rest.sum(1)
    return slopes * cotangents(z, reduction)[:, None], x, s


@right.gradient("scaled_cross_entropy")
def scaled_cross_entropy_gradient(logits, target, scale, *, reduction="mean"):
    """The gradient by the scale is summed over the batch, as that of anything shared is."""
    slopes, x, s = slopes_of_scaled(logits, target, scale, reduction)
    return {"logits": (slopes * s).astype(logits.dtype), "scale": np.asarray((slopes * x).sum()).astype(scale.dtype)}


# -- a mask ------------------------------------------------------------------------------------------------------------


def listed(scores, relevance, mask):
    """Scores below the largest that counts, weights and what counts; raises ValueError."""
    expect_shapes(relevance=(relevance, scores.shape), mask=(mask, scores.shape))
    some = mask == 1
    (x,) = wide(scores)
    x = np.where(some, x, -np.inf)
    most = x.max(1, keepdims=True, initial=-np.inf)
    depth = np.where(some, x - np.where(np.isneginf(most), 0, most), 0)
    powers = np.where(some, np.exp(depth), 0)
    return depth, powers, np.where(some, relevance.astype(x.dtype), 0)


@right.loss
def listwise_softmax(scores, relevance, mask, *, reduction="mean"):
    """Σ y·(lse(s) - s) over what counts."""
    depth, powers, weights = listed(scores, relevance, mask)
    total = powers.sum(1, keepdims=True)
    losses = np.where(mask == 1, weights * (np.log(np.where(total == 0, 1, total)) - depth), 0).sum(1)
    return reduced(losses, reduction, scores.dtype)


@right.gradient("listwise_softmax")
def listwise_softmax_gradient(scores, relevance, mask, *, reduction="mean"):
    """p·Σy - y, and 0 for what does not count."""
    depth, powers, weights = listed(scores, relevance, mask)
    total = powers.sum(1, keepdims=True)
    shares = powers / np.where(total == 0, 1, total)
    slopes = shares * weights.sum(1, keepdims=True) - weights
    slopes = np.where(mask == 1, slopes * cotangents(depth, reduction)[:, None], 0)
    return {"scores": slopes.astype(scores.dtype)}


# -- negatives of each example -----------------------------------------------------------------------------------------


def gaps(query, positive, negatives, temperature):
    """What each negative is above the positive, with the arrays; raises ValueError."""
    expect_shapes(
        positive=(positive, query.shape), negatives=(negatives, (len(query), *negatives.shape[1:2], query.shape[1]))
    )
    if not temperature > 0:
        raise ValueError("temperature")
    q, p, n = wide(query, positive, negatives)
    s, t = (q * p).sum(-1) / temperature, np.einsum("bd,bnd->bn", q, n) / temperature
    return q, p, n, (t - s[:, None]).astype(q.dtype)


@right.loss
def infonce_negatives(query, positive, negatives, *, temperature=0.5, reduction="mean"):
    """log(1 + Σ exp(t - s))."""
    *_, gap = gaps(query, positive, negatives, temperature)
    most = gap.max(1, keepdims=True)
    above = (most + np.log(np.exp(gap - most).sum(1, keepdims=True)))[:, 0]
    return reduced(np.logaddexp(0, above), reduction, query.dtype)


@right.gradient("infonce_negatives")
def infonce_negatives_gradient(query, positive, negatives, *, temperature=0.5, reduction="mean"):
    """The share of each negative among 1 and all of them, over the temperature."""
    q, p, n, gap = gaps(query, positive, negatives, temperature)
    shares = softmax(np.concatenate([np.zeros_like(gap[:, :1]), gap], 1))[:, 1:]
    shares = shares * cotangents(q, reduction)[:, None] / gap.dtype.type(temperature)
    rest = shares.sum(1, keepdims=True)
    found = {
        "query": np.einsum("bn,bnd->bd", shares, n) - rest * p,
        "positive": -rest * q,
        "negatives": shares[:, :, None] * q[:, None, :],
    }
    return {name: array.astype(query.dtype) for name, array in found.items()}


# -- wrong ones --------------------------------------------------------------------------------------------------------

averaged = Implementation("averaged-scale", framework="numpy")
leaking = Implementation("leaking-mask", framework="numpy")
forgotten = Implementation("forgotten-mask", framework="numpy")
of_one = Implementation("scale-of-one-example", framework="numpy")
shared = Implementation("negatives-of-the-first", framework="numpy")
unshared = Implementation("negatives-without-the-positive", framework="numpy")


def wrong(implementation, loss, value, gradient):
    """Register a wrong loss, or a wrong gradient."""
    implementation.loss(loss)(value)
    implementation.gradient(loss)(gradient)


def averaged_gradient(logits, target, scale, *, reduction="mean"):
    """The gradient by the scale is a mean over the batch under every reduction."""
    found = scaled_cross_entropy_gradient(logits, target, scale, reduction=reduction)
    return found if reduction == "mean" else {**found, "scale": found["scale"] / scale.dtype.type(len(logits))}


def gradient_of_one(logits, target, scale, *, reduction="mean"):
    """The gradient by the scale is that of the last example, as where each overwrites that of the one before."""
    found = scaled_cross_entropy_gradient(logits, target, scale, reduction=reduction)
    last = scaled_cross_entropy_gradient(logits[-1:], target[-1:], scale, reduction="sum")["scale"]
    return {**found, "scale": np.asarray(last * cotangents(logits, reduction)[-1]).astype(scale.dtype)}


def leaking_gradient(scores, relevance, mask, *, reduction="mean"):
    """What is masked is multiplied by 0 instead of left out: NaN times 0 is NaN."""
    found = listwise_softmax_gradient(scores, relevance, mask, reduction=reduction)
    return {"scores": found["scores"] + scores * (1 - mask.astype(scores.dtype)) * scores.dtype.type(0)}


def forgotten_value(scores, relevance, mask, *, reduction="mean"):
    """A masked score of 0 takes part in the softmax."""
    return listwise_softmax(
        np.where(mask == 1, scores, scores.dtype.type(0)),
        np.where(mask == 1, relevance, relevance.dtype.type(0)),
        np.ones_like(mask),
        reduction=reduction,
    )


def forgotten_gradient(scores, relevance, mask, *, reduction="mean"):
    """The gradient of the same."""
    found = listwise_softmax_gradient(
        np.where(mask == 1, scores, scores.dtype.type(0)),
        np.where(mask == 1, relevance, relevance.dtype.type(0)),
        np.ones_like(mask),
        reduction=reduction,
    )
    return {"scores": np.where(mask == 1, found["scores"], scores.dtype.type(0))}


def of_the_first(negatives):
    """The negatives of the first example for every one."""
    return np.broadcast_to(negatives[:1], negatives.shape)


wrong(averaged, "scaled_cross_entropy", scaled_cross_entropy, averaged_gradient)
wrong(of_one, "scaled_cross_entropy", scaled_cross_entropy, gradient_of_one)
wrong(leaking, "listwise_softmax", listwise_softmax, leaking_gradient)
wrong(forgotten, "listwise_softmax", forgotten_value, forgotten_gradient)


@shared.loss("infonce_negatives")
def negatives_of_the_first(query, positive, negatives, *, temperature=0.5, reduction="mean"):
    """Every example has the negatives of the first."""
    return infonce_negatives(query, positive, of_the_first(negatives), temperature=temperature, reduction=reduction)


@shared.gradient("infonce_negatives")
def gradient_of_the_first(query, positive, negatives, *, temperature=0.5, reduction="mean"):
    """The gradient as if each example had these."""
    return infonce_negatives_gradient(
        query, positive, of_the_first(negatives), temperature=temperature, reduction=reduction
    )


@unshared.loss("infonce_negatives")
def without_the_positive(query, positive, negatives, *, temperature=0.5, reduction="mean"):
    """The positive is left out of the sum below the line."""
    *_, gap = gaps(query, positive, negatives, temperature)
    most = gap.max(1, keepdims=True)
    return reduced((most + np.log(np.exp(gap - most).sum(1, keepdims=True)))[:, 0], reduction, query.dtype)


unshared.gradient("infonce_negatives")(infonce_negatives_gradient)
