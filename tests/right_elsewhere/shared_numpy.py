"""Parts of the implementations in NumPy: accumulation in float32 at least, reduction, gradients, registration."""

from collections.abc import Callable
from typing import Any

import numpy as np
from lossmark.tests.right_elsewhere.refusals import COSINE_GUARD, chosen, refuse_misfits

from lossmark import Implementation

REDUCE: dict[str, Callable[[Any], Any]] = {"none": np.asarray, "sum": np.sum, "mean": np.mean}


def wide(x):
    """At least float32, in which 16-bit sums accumulate."""
    return x.astype(np.promote_types(x.dtype, np.float32) if x.dtype.kind == "f" else np.float32)


def reduced(loss, reduction, dtype):
    """The loss [B] reduced and rounded once; a mean of nothing is refused."""
    if reduction == "mean" and not len(loss):
        raise ValueError("the mean of an empty batch")
    return np.asarray(REDUCE[reduction](loss)).astype(dtype)


def share(reduction, batch):
    """The cotangent of every example: 1, or 1/B under the mean."""
    return 1 / batch if reduction == "mean" else 1


def sigmoid(x):
    """1/(1 + exp(-x)) by the exp that does not overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def positive(z):
    """max(0, z); NaN goes through."""
    return np.maximum(z, 0)


def over_norms(x, y, s, norm):
    """Of the cosine: its value, and its gradients by x and by y [B, D], constant below the guard."""
    nx, ny = norm(x), norm(y)
    product = np.maximum(nx * ny, COSINE_GUARD)
    value = s / product
    free = nx * ny > COSINE_GUARD

    def by(a, na, b):
        along = np.where(free, value / np.where(free, na, 1) ** 2, 0)
        return b / product[:, None] - along[:, None] * a

    return value, by(x, nx, y), by(y, ny, x)


def ranking(name, dot, norm, hinge, bpr) -> Implementation:
    """Both losses of scores: ``dot`` and ``norm`` of rows, ``hinge(s+, s-, margin)``, ``bpr(s- - s+)``."""
    impl = Implementation(f"elsewhere/numpy-{name}", framework="numpy")

    def score(x, y, similarity):
        s = dot(x, y)
        return over_norms(x, y, s, norm) if chosen(similarity) else (s, y, x)

    def scores(u, d_pos, d_neg, similarity):
        refuse_misfits(u, d_pos, d_neg)
        u, d_pos, d_neg = wide(u), wide(d_pos), wide(d_neg)
        return score(u, d_pos, similarity), score(u, d_neg, similarity)

    def gradients(slope, at_pos, at_neg, dtype):
        slope = slope[:, None]
        found = {"u": slope * at_neg[1] - slope * at_pos[1], "d_pos": -slope * at_pos[2], "d_neg": slope * at_neg[2]}
        return {name: gradient.astype(dtype) for name, gradient in found.items()}

    @impl.loss("pairwise_hinge")
    def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, similarity="dot", reduction="mean"):
        at_pos, at_neg = scores(u, d_pos, d_neg, similarity)
        return reduced(hinge(at_pos[0], at_neg[0], margin), reduction, u.dtype)

    @impl.gradient("pairwise_hinge")
    def hinge_gradient(u, d_pos, d_neg, *, margin=1.0, similarity="dot", reduction="mean"):
        at_pos, at_neg = scores(u, d_pos, d_neg, similarity)
        z = hinge(at_pos[0], at_neg[0], margin)
        slope = np.where(np.isnan(z), z, z > 0).astype(z.dtype) * share(reduction, len(u))
        return gradients(slope, at_pos, at_neg, u.dtype)

    @impl.loss("bpr")
    def bayesian(u, d_pos, d_neg, *, similarity="dot", reduction="mean"):
        at_pos, at_neg = scores(u, d_pos, d_neg, similarity)
        return reduced(bpr(at_neg[0] - at_pos[0]), reduction, u.dtype)

    @impl.gradient("bpr")
    def bayesian_gradient(u, d_pos, d_neg, *, similarity="dot", reduction="mean"):
        at_pos, at_neg = scores(u, d_pos, d_neg, similarity)
        slope = sigmoid(at_neg[0] - at_pos[0]) * share(reduction, len(u))
        return gradients(slope, at_pos, at_neg, u.dtype)

    return impl


def metric(name, norm, terms, triplet, squares) -> Implementation:
    """The losses of distances: ``norm`` of rows, ``terms(d, y, margin)``, ``triplet(ap, pn, an, label, margin)``."""
    impl = Implementation(f"elsewhere/numpy-{name}", framework="numpy")

    def slope(d, y, margin, reduction):
        return 2 * (y * d - (1 - y) * positive(margin - d)) * share(reduction, len(d))

    @impl.loss("contrastive")
    def contrastive(d, y, *, margin=1.0, reduction="mean"):
        refuse_misfits(d, label=y)
        return reduced(terms(wide(d), y.astype(wide(d).dtype), margin), reduction, d.dtype)

    @impl.gradient("contrastive")
    def contrastive_gradient(d, y, *, margin=1.0, reduction="mean"):
        return {"d": slope(wide(d), y.astype(wide(d).dtype), margin, reduction).astype(d.dtype)}

    @impl.loss("contrastive_pair")
    def contrastive_pair(x1, x2, y, *, margin=1.0, reduction="mean"):
        refuse_misfits(x1, x2, label=y)
        d = norm(wide(x1) - wide(x2))
        return reduced(terms(d, y.astype(d.dtype), margin), reduction, x1.dtype)

    @impl.gradient("contrastive_pair")
    def pair_gradient(x1, x2, y, *, margin=1.0, reduction="mean"):
        z = wide(x1) - wide(x2)
        d = norm(z)
        inward = np.divide(slope(d, y.astype(d.dtype), margin, reduction), d, out=np.zeros_like(d), where=d != 0)
        along = inward[:, None] * z
        return {"x1": along.astype(x1.dtype), "x2": (-along).astype(x1.dtype)}

    @impl.loss("labeled_triplet")
    def labeled_triplet(anc, pos, neg, label, *, margin=1.0, reduction="mean"):
        refuse_misfits(anc, pos, neg, label=label)
        a, p, n = wide(anc), wide(pos), wide(neg)
        label = label.astype(a.dtype)
        loss = triplet(squares(p - a), squares(p - n), squares(a - n), label, margin)
        return reduced(np.where(np.isnan(label), label, loss), reduction, anc.dtype)

    @impl.gradient("labeled_triplet")
    def triplet_gradient(anc, pos, neg, label, *, margin=1.0, reduction="mean"):
        a, p, n = wide(anc), wide(pos), wide(neg)
        y = label.astype(a.dtype)[:, None]
        weight = a.dtype.type(2 * share(reduction, len(anc)))
        ap, pn, an = (3 * y - 1) * (p - a) * weight, -(p - n) * weight, (2 - 3 * y) * (a - n) * weight
        found = {"anc": an - ap, "pos": ap + pn, "neg": -pn - an}
        return {name: gradient.astype(anc.dtype) for name, gradient in found.items()}

    return impl
