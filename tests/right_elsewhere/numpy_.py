"""All five losses in NumPy: sums by every means that NumPy has, and by Python's own."""

import math

import numpy as np
from lossmark.tests.right_elsewhere.shared_numpy import metric, positive, ranking

FAR = 37.0
"""exp(-37) is less than half an ulp of 1 in float64."""


def einsum(x, y):
    """b d, b d -> b."""
    return np.einsum("bd,bd->b", x, y)


def matmul(x, y):
    """Row by column."""
    return (x[:, None, :] @ y[:, :, None])[:, 0, 0]


def plain(x, y):
    """NumPy's pairwise sum."""
    return (x * y).sum(axis=-1)


def exact(x, y):
    """Sums rounded once, by math.fsum; what is not finite is left to NumPy."""
    with np.errstate(all="ignore"):
        terms = x * y
        sums = terms.sum(axis=1)
        for row in np.flatnonzero(np.isfinite(terms).all(axis=1) & np.isfinite(sums)):
            sums[row] = math.fsum(terms[row].tolist())
    return sums


def compensated(x, y):
    """Kahan's sum over the columns; a compensation that is not finite is none."""
    total, lost = np.zeros(len(x), x.dtype), np.zeros(len(x), x.dtype)
    with np.errstate(all="ignore"):
        for a, b in zip(x.T, y.T, strict=True):
            term = a * b - lost
            after = total + term
            lost = (after - total) - term
            lost[~np.isfinite(lost)] = 0
            total = after
    return total


def per_example(x, y):
    """np.vectorize with a signature."""
    return np.vectorize(np.dot, signature="(d),(d)->()", otypes=[x.dtype])(x, y) if len(x) else plain(x, y)


def extended(x, y):
    """The widest floating dtype of the machine inside."""
    with np.errstate(all="ignore"):
        return (x.astype(np.longdouble) * y.astype(np.longdouble)).sum(axis=1).astype(x.dtype)


def segments(x, y):
    """All products in a row, added between the examples' starts."""
    return np.add.reduceat((x * y).ravel(), np.arange(len(x)) * x.shape[1]) if x.size else plain(x, y)


def linalg_norm(z):
    """np.linalg.norm along the rows."""
    return np.linalg.norm(z, axis=1)


def root_of(dot):
    """The root of z·z by one of the products above."""
    return lambda z: np.sqrt(dot(z, z))


def scaled(z):
    """Scaled by an exact power of two, so that no square overflows or vanishes."""
    limit = 120 if z.dtype == np.float32 else 1000
    largest = np.abs(z).max(axis=1, initial=0)
    exponent = np.where(np.isfinite(largest), np.frexp(largest)[1], 0).clip(-limit, limit)
    return np.ldexp(np.linalg.norm(np.ldexp(z, -exponent[:, None]), axis=1), exponent)


def along_axis(z):
    """One row at a time."""
    return np.apply_along_axis(np.linalg.norm, 1, z) if len(z) else np.zeros(0, z.dtype)


def squares_of(dot):
    """z·z by one of the products above."""
    return lambda z: dot(z, z)


def formula_hinge(s_pos, s_neg, margin):
    """As it is printed."""
    return np.maximum(0, margin - s_pos + s_neg)


def gap_hinge(s_pos, s_neg, margin):
    """The gap first, clipped from below."""
    return np.clip(margin - (s_pos - s_neg), 0, None)


def where_hinge(s_pos, s_neg, margin):
    """By where; NaN goes through."""
    z = (margin + s_neg) - s_pos
    return np.where(z <= 0, np.zeros_like(z), z)


def indexed_hinge(s_pos, s_neg, margin):
    """Only the active examples are computed."""
    loss = np.zeros_like(s_pos)
    active = ~(margin - s_pos + s_neg <= 0)
    loss[active] = margin - s_pos[active] + s_neg[active]
    return loss


def logaddexp(x):
    """log(exp(0) + exp(x))."""
    return np.logaddexp(x.dtype.type(0), x)


def maximum_and_log1p(x):
    """max(x, 0) + log1p(exp(-|x|))."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def three_ranges(x):
    """exp(x) far below 0, x and exp(-x) far above, log1p(exp(x)) between."""
    with np.errstate(all="ignore"):
        return np.select([x < -FAR, x > FAR], [np.exp(x), x + np.exp(-x)], np.log1p(np.exp(x)))


def formula(d, y, margin):
    """As it is printed."""
    return y * d**2 + (1 - y) * np.maximum(margin - d, 0) ** 2


def indexed(d, y, margin):
    """Boolean masks; what is neither 0 nor 1 is mixed."""
    loss = y * d * d + (1 - y) * positive(margin - d) ** 2
    loss[y == 1] = d[y == 1] ** 2
    loss[y == 0] = positive(margin - d[y == 0]) ** 2
    return loss


def chosen(d, y, margin):
    """Hard labels choose by select."""
    same, other = np.square(d), np.square(positive(margin - d))
    return np.select([y == 1, y == 0], [same, other], y * same + (1 - y) * other)


def triplet_formula(ap, pn, an, label, margin):
    """As it is printed."""
    return np.where(label == 1, 2 * ap - pn - an + margin, 2 * an - pn - ap + margin)


def triplet_factors(ap, pn, an, label, margin):
    """Factors that are linear in the label."""
    factors = np.stack([3 * label - 1, -np.ones_like(label), 2 - 3 * label])
    return np.einsum("kb,kb->b", factors, np.stack([ap, pn, an])) + margin


def triplet_exchange(ap, pn, an, label, margin):
    """The nearer of label 1 is the farther of label 0."""
    near, far = np.where(label == 1, ap, an), np.where(label == 1, an, ap)
    return (near - pn) + (near - far) + margin


ein = ranking("einsum", einsum, root_of(einsum), formula_hinge, logaddexp)
mat = ranking("matmul", matmul, linalg_norm, gap_hinge, maximum_and_log1p)
vec = ranking("vecdot", np.vecdot, along_axis, where_hinge, three_ranges)
fsum = ranking("fsum", exact, root_of(exact), indexed_hinge, logaddexp)
kahan = ranking("kahan", compensated, scaled, formula_hinge, maximum_and_log1p)
vectorized = ranking("vectorize", per_example, linalg_norm, gap_hinge, three_ranges)
reduceat = ranking("reduceat", segments, root_of(segments), where_hinge, logaddexp)
long = ranking("extended-inside", extended, root_of(extended), indexed_hinge, maximum_and_log1p)
norms = metric("linalg-norm", linalg_norm, formula, triplet_formula, squares_of(plain))
roots = metric("einsum-root", root_of(einsum), indexed, triplet_factors, squares_of(einsum))
scaling = metric("power-of-two", scaled, chosen, triplet_exchange, squares_of(np.vecdot))
rows = metric("norm-of-rows", along_axis, formula, triplet_exchange, squares_of(exact))
kahans = metric("kahan-root", root_of(compensated), indexed, triplet_formula, squares_of(compensated))
longs = metric("extended-root", root_of(extended), chosen, triplet_factors, squares_of(extended))
