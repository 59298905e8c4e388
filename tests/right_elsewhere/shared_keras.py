"""All five losses by keras.ops and as keras.losses.Loss. Which backend they have is said before this is imported.

Of float64 and float32 Keras 3.15 makes float32, so that ``mean``, ``maximum``, ``matmul``, ``segment_sum``, ``norm``
and others compute float64 in float32 on some backend. A right loss does without them.
"""

import keras
from keras import ops
from lossmark.tests.right_elsewhere.refusals import COSINE_GUARD, chosen, refuse_misfits

from lossmark import Implementation

INFINITY = float("inf")
REDUCE = {"none": lambda loss: loss, "sum": ops.sum, "mean": lambda loss: ops.sum(loss) / loss.shape[0]}


def wide(x):
    """At least float32, in which 16-bit sums accumulate."""
    return x if keras.backend.standardize_dtype(x.dtype) == "float64" else ops.cast(x, "float32")


def narrow(loss, x, reduction):
    """The loss reduced and rounded once to the dtype of x."""
    return ops.cast(REDUCE[reduction](loss), keras.backend.standardize_dtype(x.dtype))


def masked_root(square):
    """A root whose gradient at 0 is 0."""
    none = ops.equal(square, 0)
    return ops.where(none, ops.zeros_like(square), ops.sqrt(ops.where(none, ops.ones_like(square), square)))


def two_sided(x):
    """Both sides of log(1 + exp(x)) with an exp that cannot overflow; the side not taken sees 0."""
    above, below = ops.where(x > 0, x, ops.zeros_like(x)), ops.where(x > 0, ops.zeros_like(x), x)
    return ops.where(x > 0, x + ops.log1p(ops.exp(-above)), ops.log1p(ops.exp(below)))


def clamped_exponent(x):
    """log1p(exp(x)) up to 40, x beyond."""
    return ops.where(x > 40, x, ops.log1p(ops.exp(ops.clip(x, -INFINITY, 40))))


def formula(d, y, margin):
    """The contrastive loss as it is printed."""
    return y * ops.square(d) + (1 - y) * ops.square(ops.clip(margin - d, 0, INFINITY))


def mixed(d, y, margin):
    """Hard labels choose, soft ones mix."""
    same, other = d * d, ops.square(ops.relu(margin - d))
    return ops.where(ops.equal(y, 1), same, ops.where(ops.equal(y, 0), other, y * same + (1 - y) * other))


def squares_of(dot):
    """‖x‖² by a product."""
    return lambda x: dot(x, x)


def einsum(x, y):
    """b d, b d -> b."""
    return ops.einsum("bd,bd->b", x, y)


def total(x, y):
    """Products, then a sum."""
    return ops.sum(ops.multiply(x, y), axis=-1)


def blocks(x, y):
    """A few columns at a time."""
    parts = [ops.sum(x[:, at : at + 32] * y[:, at : at + 32], axis=1) for at in range(0, x.shape[1], 32)]
    return sum(parts[1:], parts[0])


def exchange(a, p, n, label, margin, sqnorm):
    """Label 0 exchanges the two others."""
    first = ops.expand_dims(ops.equal(label, 1), 1)
    near, far = ops.where(first, p, n), ops.where(first, n, p)
    return 2 * sqnorm(near - a) - sqnorm(near - far) - sqnorm(a - far) + margin + 0 * label


def factors(a, p, n, label, margin, sqnorm):
    """Factors that are linear in the label."""
    weights = ops.stack([3 * label - 1, -ops.ones_like(label), 2 - 3 * label], axis=1)
    squares = ops.stack([sqnorm(p - a), sqnorm(p - n), sqnorm(a - n)], axis=1)
    return ops.sum(weights * squares, axis=1) + margin


def functions(name, framework, modes, dot, bpr, terms, triplet) -> Implementation:
    """All five losses as functions of keras.ops."""
    impl = Implementation(f"elsewhere/{framework}-keras-{name}", framework=framework, modes=modes)
    sqnorm = squares_of(dot)

    def score(x, y, similarity):
        s = dot(x, y)
        norms = masked_root(sqnorm(x)) * masked_root(sqnorm(y))
        guard = ops.ones_like(norms) * COSINE_GUARD  # clip would round it to float32
        return s / ops.where(norms > guard, norms, guard) if chosen(similarity) else s

    @impl.loss
    def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, similarity="dot", reduction="mean"):
        refuse_misfits(u, d_pos, d_neg)
        s_pos, s_neg = (score(wide(u), wide(d), similarity) for d in (d_pos, d_neg))
        return narrow(ops.relu(margin - s_pos + s_neg), u, reduction)

    @impl.loss("bpr")
    def bayesian(u, d_pos, d_neg, *, similarity="dot", reduction="mean"):
        refuse_misfits(u, d_pos, d_neg)
        s_pos, s_neg = (score(wide(u), wide(d), similarity) for d in (d_pos, d_neg))
        return narrow(bpr(s_neg - s_pos), u, reduction)

    @impl.loss
    def contrastive(d, y, *, margin=1.0, reduction="mean"):
        refuse_misfits(d, label=y)
        return narrow(terms(wide(d), ops.cast(y, wide(d).dtype), margin), d, reduction)

    @impl.loss
    def contrastive_pair(x1, x2, y, *, margin=1.0, reduction="mean"):
        refuse_misfits(x1, x2, label=y)
        d = masked_root(sqnorm(wide(x1) - wide(x2)))
        return narrow(terms(d, ops.cast(y, d.dtype), margin), x1, reduction)

    @impl.loss
    def labeled_triplet(anc, pos, neg, label, *, margin=1.0, reduction="mean"):
        refuse_misfits(anc, pos, neg, label=label)
        a, p, n = wide(anc), wide(pos), wide(neg)
        return narrow(triplet(a, p, n, ops.cast(label, a.dtype), margin, sqnorm), anc, reduction)

    return impl


class ContrastiveLoss(keras.losses.Loss):
    """A Keras loss of labels [B] and distances [B]."""

    def __init__(self, margin=1.0, reduction="sum_over_batch_size", dtype="float32"):
        super().__init__(name="contrastive", reduction=reduction, dtype=dtype)
        self.margin = margin

    def call(self, y_true, y_pred):
        """[B] of each example."""
        return formula(y_pred, y_true, self.margin)


def by_class(framework, modes) -> Implementation:
    """The loss of distances as a Keras loss object, made anew for each call's settings."""
    impl = Implementation(f"elsewhere/{framework}-keras-class", framework=framework, modes=modes)

    @impl.loss
    def contrastive(d, y, *, margin=1.0, reduction="mean"):
        refuse_misfits(d, label=y)
        dtype = keras.backend.standardize_dtype(wide(d).dtype)
        each = ContrastiveLoss(margin, None, dtype)(y, d)
        return narrow(each, d, reduction)

    return impl


def implementations(framework, modes) -> list[Implementation]:
    """The four ways, on the backend that has been chosen."""
    return [
        functions("einsum", framework, modes, einsum, two_sided, formula, exchange),
        functions("sum", framework, modes, total, clamped_exponent, mixed, factors),
        functions("blocks-of-columns", framework, modes, blocks, two_sided, mixed, exchange),
        by_class(framework, modes),
    ]
