"""The losses of this folder in PyTorch: a right one of each, and wrong ones."""

import torch
from torch.nn import functional

from lossmark import Implementation

right = Implementation("right-torch", framework="torch")
wrong = Implementation("wrong-torch", framework="torch")


def expect_shapes(**shapes):
    """Raise ValueError for a tensor, given with its shape, that has another."""
    for name, (x, shape) in shapes.items():
        if x.shape != torch.Size(shape):
            raise ValueError(f"{name} has shape {list(x.shape)}, expected {list(shape)}")


def wide(*tensors):
    """Tensors in the dtype that sums accumulate in; refused where their dtypes are not one floating dtype."""
    (dtype,) = {x.dtype for x in tensors}
    if not dtype.is_floating_point:
        raise TypeError(f"dtype {dtype}")
    return [x if dtype == torch.float64 else x.float() for x in tensors]


def reduced(losses, reduction, dtype):
    """The reduced loss."""
    if reduction == "mean" and not len(losses):
        raise ValueError("the mean of nothing")
    return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / max(1, len(losses))}[reduction].to(dtype)


@right.loss
def scaled_cross_entropy(logits, target, scale, *, reduction="mean"):
    """The cross entropy of scale·logits."""
    expect_shapes(target=(target, logits.shape[:1]), scale=(scale, ()))
    x, s = wide(logits, scale)
    return reduced(functional.cross_entropy(s * x, target.long(), reduction="none"), reduction, logits.dtype)


@wrong.loss("scaled_cross_entropy")
def averaged_scale(logits, target, scale, *, reduction="mean"):
    """The gradient by the scale is averaged over the batch, not summed."""
    batch = max(1, len(logits))
    return scaled_cross_entropy(logits, target, scale / batch + (1 - 1 / batch) * scale.detach(), reduction=reduction)


@right.loss
def listwise_softmax(scores, relevance, mask, *, reduction="mean"):
    """Σ y·(lse(s) - s) over what counts; what does not is replaced before anything is computed with it."""
    expect_shapes(relevance=(relevance, scores.shape), mask=(mask, scores.shape))
    some = mask == 1
    x = torch.where(some, wide(scores)[0], 0)
    weights = torch.where(some, relevance.to(x.dtype), 0)
    kept = torch.where(some | ~some.any(1, keepdim=True), x, -torch.inf)
    depth = kept - kept.detach().amax(1, keepdim=True)
    return reduced(
        (weights * torch.where(some, torch.logsumexp(depth, 1, keepdim=True) - depth, 0)).sum(1),
        reduction,
        scores.dtype,
    )


@wrong.loss("listwise_softmax")
def leaking_mask(scores, relevance, mask, *, reduction="mean"):
    """A where around the product alone: on its way back 0 meets the NaN of a relevance that is masked."""
    some = mask == 1
    x = torch.where(some, wide(scores)[0], 0)
    kept = torch.where(some | ~some.any(1, keepdim=True), x, -torch.inf)
    depth = kept - kept.detach().amax(1, keepdim=True)
    terms = relevance.to(x.dtype) * (torch.logsumexp(depth, 1, keepdim=True) - depth)
    return reduced(torch.where(some, terms, 0).sum(1), reduction, scores.dtype)


@right.loss
def infonce_negatives(query, positive, negatives, *, temperature=0.5, reduction="mean"):
    """log(1 + Σ exp(t - s))."""
    expect_shapes(
        positive=(positive, query.shape), negatives=(negatives, (len(query), *negatives.shape[1:2], query.shape[1]))
    )
    if not temperature > 0:
        raise ValueError("temperature")
    q, p, n = wide(query, positive, negatives)
    s, t = (q * p).sum(-1) / temperature, torch.einsum("bd,bnd->bn", q, n) / temperature
    gap = t - s[:, None]
    return reduced(torch.logsumexp(torch.cat([torch.zeros_like(gap[:, :1]), gap], 1), 1), reduction, query.dtype)


@wrong.loss("infonce_negatives")
def shared_negatives(query, positive, negatives, *, temperature=0.5, reduction="mean"):
    """Every example has the negatives of the first."""
    return infonce_negatives(
        query, positive, negatives[:1].expand(negatives.shape), temperature=temperature, reduction=reduction
    )
