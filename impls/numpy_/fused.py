"""The losses in NumPy, moving the fewest bytes: ``from lossmark.impls.numpy_.fused import bpr``.

Loss and gradient each go over the inputs once, in blocks of rows that stay in the second-level cache; nothing of the
size of an input is made beside the gradients. Arguments, results and errors are those of
:mod:`lossmark.impls.numpy_.losses`, which stands in for ``similarity="cosine"``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from lossmark.impls.arguments import check_margin, check_ranking, check_reduction, check_tensors

from lossmark import Implementation, __version__

from . import losses as plain
from .common import Array, checked_label, reduce, sigmoid, softplus, weight, wide_of
from .framework import FRAMEWORK
from .rows import gradients, per_example
from .similarity import norm, unit

impl = Implementation("numpy-fused", framework="numpy", version=__version__, modes=FRAMEWORK.own["numpy-fused"].modes)

Rows = tuple[Array, ...]


# -- ranking: hinge and BPR ------------------------------------------------------------------------------------------


def _score_difference(u: Array, d_pos: Array, d_neg: Array) -> Rows:
    """⟨u, d⁻ - d⁺⟩, an equal evaluation of ⟨u, d⁻⟩ - ⟨u, d⁺⟩ that the specs declare."""
    return (np.vecdot(u, d_neg - d_pos),)


def _ranking_gradients(slope_of: Callable[[Array], Array], u: Array, d_pos: Array, d_neg: Array) -> dict[str, Array]:
    """``slope_of(x)`` is the derivative by the difference x of the scores, times each example's cotangent."""

    def kernel(u: Array, d_pos: Array, d_neg: Array, by_u: Array, by_pos: Array, by_neg: Array) -> Rows:
        by_u = np.subtract(d_neg, d_pos, out=by_u)
        slope = slope_of(np.vecdot(u, by_u))[:, None]
        by_neg = np.multiply(u, slope, out=by_neg)
        return np.multiply(by_u, slope, out=by_u), np.negative(by_neg, out=by_pos), by_neg

    return dict(zip(("u", "d_pos", "d_neg"), gradients(kernel, (u, d_pos, d_neg)), strict=True))


@impl.loss
def pairwise_hinge(
    u: Array, d_pos: Array, d_neg: Array, *, margin: float = 1.0, similarity: str = "dot", reduction: str = "mean"
) -> Array:
    """max(0, margin - ⟨u,d⁺⟩ + ⟨u,d⁻⟩); arguments, result and errors as :func:`.losses.pairwise_hinge`."""
    if similarity != "dot":
        return plain.pairwise_hinge(u, d_pos, d_neg, margin=margin, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    check_margin(margin)
    (x,) = per_example(_score_difference, u, d_pos, d_neg)
    return reduce(np.maximum(x + x.dtype.type(margin), 0), reduction, u.dtype)


@impl.gradient("pairwise_hinge")
def pairwise_hinge_gradient(
    u: Array, d_pos: Array, d_neg: Array, *, margin: float = 1.0, similarity: str = "dot", reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`pairwise_hinge`; at the kink the member 0 of the subdifferential."""
    if similarity != "dot":
        return plain.pairwise_hinge_gradient(u, d_pos, d_neg, margin=margin, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    check_margin(margin)
    wide = wide_of(u)
    g, margin = weight(len(u), reduction, wide), wide.type(margin)
    return _ranking_gradients(lambda x: (x > -margin) * g, u, d_pos, d_neg)


@impl.loss
def bpr(u: Array, d_pos: Array, d_neg: Array, *, similarity: str = "dot", reduction: str = "mean") -> Array:
    """log(1 + exp(⟨u,d⁻⟩ - ⟨u,d⁺⟩)); arguments, result and errors as :func:`.losses.bpr`."""
    if similarity != "dot":
        return plain.bpr(u, d_pos, d_neg, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    (x,) = per_example(_score_difference, u, d_pos, d_neg)
    return reduce(softplus(x), reduction, u.dtype)


@impl.gradient("bpr")
def bpr_gradient(
    u: Array, d_pos: Array, d_neg: Array, *, similarity: str = "dot", reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`bpr`: ∂/∂x log(1 + exp(x)) = 1 / (1 + exp(-x))."""
    if similarity != "dot":
        return plain.bpr_gradient(u, d_pos, d_neg, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    g = weight(len(u), reduction, wide_of(u))
    return _ranking_gradients(lambda x: sigmoid(x) * g, u, d_pos, d_neg)


# -- contrastive -----------------------------------------------------------------------------------------------------


@impl.loss
def contrastive(d: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean") -> Array:
    """y·d² + (1-y)·max(margin - d, 0)²; arguments, result and errors as :func:`.losses.contrastive`."""
    (batch,) = check_tensors({"d": d}, rank=1)
    check_margin(margin)
    check_reduction(reduction, batch)
    wide = wide_of(d)
    y = checked_label("y", y, (batch,), wide, soft=True)
    return reduce(_contrastive(d.astype(wide, copy=False), y, wide.type(margin)), reduction, d.dtype)


def _contrastive(d: Array, y: Array, margin: Array) -> Array:
    far = np.subtract(margin, d)
    np.square(np.maximum(far, 0, out=far), out=far)
    far *= 1 - y
    near = np.square(d)
    near *= y
    near += far
    return near


@impl.gradient("contrastive")
def contrastive_gradient(d: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean") -> dict[str, Array]:
    """The gradient of :func:`contrastive` by d: 2·y·d - 2·(1-y)·max(margin - d, 0)."""
    (batch,) = check_tensors({"d": d}, rank=1)
    check_margin(margin)
    check_reduction(reduction, batch)
    wide = wide_of(d)
    y = checked_label("y", y, (batch,), wide, soft=True)
    push = np.subtract(wide.type(margin), d, dtype=wide)
    np.maximum(push, 0, out=push)
    push *= 1 - y
    pull = np.multiply(y, d, dtype=wide)
    pull -= push
    pull *= 2 * weight(len(d), reduction, wide)
    return {"d": pull.astype(d.dtype, copy=False)}


def _squared_distance(x1: Array, x2: Array) -> Rows:
    difference = x1 - x2
    return (np.vecdot(difference, difference),)


def _distance(squared: Array, x1: Array, x2: Array) -> Array:
    """√ of the squared distances [B]; the few rows whose squares overflow or underflow are scaled."""
    least = squared.dtype.type(2.0**-900 if squared.dtype == np.float64 else 2.0**-80)
    rows = np.flatnonzero(~((squared > least) & (squared < np.inf)))
    d = np.sqrt(squared)
    if len(rows):
        d[rows] = norm(x1[rows].astype(d.dtype) - x2[rows].astype(d.dtype))
    return d


@impl.loss
def contrastive_pair(x1: Array, x2: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean") -> Array:
    """The contrastive loss of d = ‖x1 - x2‖₂; arguments, result and errors as :func:`.losses.contrastive_pair`."""
    batch, _ = check_tensors({"x1": x1, "x2": x2}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    y = checked_label("y", y, (batch,), wide_of(x1), soft=True)
    (squared,) = per_example(_squared_distance, x1, x2)
    return reduce(_contrastive(_distance(squared, x1, x2), y, y.dtype.type(margin)), reduction, x1.dtype)


@impl.gradient("contrastive_pair")
def contrastive_pair_gradient(
    x1: Array, x2: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> dict[str, Array]:
    """(2·y·d - 2·(1-y)·max(margin - d, 0)) · (x1 - x2)/d by x1, and 0 where d = 0."""
    batch, _ = check_tensors({"x1": x1, "x2": x2}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    wide = wide_of(x1)
    y = checked_label("y", y, (batch,), wide, soft=True)
    twice, margin = 2 * weight(len(x1), reduction, wide), wide.type(margin)

    def kernel(x1: Array, x2: Array, y: Array, by_x1: Array, by_x2: Array) -> Rows:
        by_x1 = np.subtract(x1, x2, out=by_x1)
        d = _distance(np.vecdot(by_x1, by_x1), x1, x2)
        push = (1 - y) * np.maximum(margin - d, 0)
        close = np.flatnonzero(d < 2.0**-60)  # where push / d is too large a number, or 0/0
        careful = y[close, None] * by_x1[close] - push[close, None] * unit(by_x1[close], d[close])
        d[close] = 1
        by_x1 *= ((y - push / d) * twice)[:, None]
        by_x1[close] = careful * twice
        return by_x1, np.negative(by_x1, out=by_x2)

    return dict(zip(("x1", "x2"), gradients(kernel, (x1, x2), y), strict=True))


# -- labeled triplet ---------------------------------------------------------------------------------------------------


def _three_squared_distances(anc: Array, pos: Array, neg: Array) -> Rows:
    differences = (anc - pos, anc - neg, pos - neg)
    return tuple(np.vecdot(x, x) for x in differences)


@impl.loss
def labeled_triplet(
    anc: Array, pos: Array, neg: Array, label: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> Array:
    """label 1: 2‖pos-anc‖² - ‖pos-neg‖² - ‖anc-neg‖² + margin; label 0: pos and neg swapped.

    Arguments, result and errors as :func:`.losses.labeled_triplet`.
    """
    batch, _ = check_tensors({"anc": anc, "pos": pos, "neg": neg}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    label = checked_label("label", label, (batch,), wide_of(anc), soft=False)
    ap, an, pn = per_example(_three_squared_distances, anc, pos, neg)
    same = label == 1
    loss = 2 * np.where(same, ap, an) - np.where(same, an, ap) - pn + label.dtype.type(margin)
    return reduce(np.where(np.isnan(label), label, loss), reduction, anc.dtype)


@impl.gradient("labeled_triplet")
def labeled_triplet_gradient(
    anc: Array, pos: Array, neg: Array, label: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`labeled_triplet`."""
    batch, _ = check_tensors({"anc": anc, "pos": pos, "neg": neg}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    wide = wide_of(anc)
    label = checked_label("label", label, (batch,), wide, soft=False)
    g = weight(len(anc), reduction, wide)

    def kernel(anc: Array, pos: Array, neg: Array, label: Array, by_anc: Array, by_pos: Array, by_neg: Array) -> Rows:
        same = (label == 1)[:, None]
        from_neg = anc - neg
        from_neg *= np.where(same, -2 * g, 4 * g)
        by_anc = np.subtract(anc, pos, out=by_anc)
        by_anc *= np.where(same, 4 * g, -2 * g)
        by_pos = np.subtract(pos, neg, out=by_pos)
        by_pos *= -2 * g
        by_neg = np.add(from_neg, by_pos, out=by_neg)
        np.negative(by_neg, out=by_neg)
        by_pos -= by_anc
        by_anc += from_neg
        return by_anc, by_pos, by_neg

    return dict(zip(("anc", "pos", "neg"), gradients(kernel, (anc, pos, neg), label), strict=True))
