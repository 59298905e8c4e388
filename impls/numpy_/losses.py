"""The losses in NumPy, with their gradients written out.

16-bit inputs are computed in float32 and the result is rounded once, to the dtype of the inputs. "The document" is
*ML基本知识(十六)损失函数*.
"""

from __future__ import annotations

import numpy as np
from lossmark.impls.arguments import check_margin, check_ranking, check_reduction, check_tensors

from lossmark import Implementation, __version__

from .classes import (
    cross_entropy,
    cross_entropy_gradient,
    kl_div,
    kl_div_gradient,
    soft_cross_entropy,
    soft_cross_entropy_gradient,
)
from .common import Array, checked_label, reduce, sigmoid, softplus, weight, wide
from .contrast import nt_xent, nt_xent_gradient, supcon, supcon_gradient
from .framework import FRAMEWORK
from .logits import bce_with_logits, bce_with_logits_gradient, sigmoid_focal, sigmoid_focal_gradient
from .margins import multi_margin, multi_margin_gradient
from .output_layer import linear_cross_entropy, linear_cross_entropy_gradient
from .pairs import clip, clip_gradient, info_nce, info_nce_gradient, siglip, siglip_gradient
from .regression import huber, huber_gradient
from .similarity import norm, similarity_gradient, similarity_of, unit
from .softened import cross_entropy_z, cross_entropy_z_gradient, distill_kl, distill_kl_gradient

impl = Implementation("numpy", framework="numpy", version=__version__, modes=FRAMEWORK.own["numpy"].modes)
impl.loss("bce_with_logits")(bce_with_logits)
impl.loss("clip")(clip)
impl.loss("cross_entropy")(cross_entropy)
impl.loss("huber")(huber)
impl.loss("info_nce")(info_nce)
impl.loss("kl_div")(kl_div)
impl.loss("linear_cross_entropy")(linear_cross_entropy)
impl.loss("multi_margin")(multi_margin)
impl.loss("nt_xent")(nt_xent)
impl.loss("cross_entropy_z")(cross_entropy_z)
impl.loss("distill_kl")(distill_kl)
impl.loss("sigmoid_focal")(sigmoid_focal)
impl.loss("siglip")(siglip)
impl.loss("soft_cross_entropy")(soft_cross_entropy)
impl.loss("supcon")(supcon)
impl.gradient("clip")(clip_gradient)
impl.gradient("cross_entropy")(cross_entropy_gradient)
impl.gradient("huber")(huber_gradient)
impl.gradient("info_nce")(info_nce_gradient)
impl.gradient("kl_div")(kl_div_gradient)
impl.gradient("linear_cross_entropy")(linear_cross_entropy_gradient)
impl.gradient("multi_margin")(multi_margin_gradient)
impl.gradient("nt_xent")(nt_xent_gradient)
impl.gradient("cross_entropy_z")(cross_entropy_z_gradient)
impl.gradient("distill_kl")(distill_kl_gradient)
impl.gradient("sigmoid_focal")(sigmoid_focal_gradient)
impl.gradient("siglip")(siglip_gradient)
impl.gradient("soft_cross_entropy")(soft_cross_entropy_gradient)
impl.gradient("supcon")(supcon_gradient)
impl.gradient("bce_with_logits")(bce_with_logits_gradient)


# -- ranking: hinge and BPR ------------------------------------------------------------------------------------------


def _ranking_gradient(u: Array, d_pos: Array, d_neg: Array, slope: Array, similarity: str) -> dict[str, Array]:
    """The chain rule from ∂loss/∂(s⁻ - s⁺) = ``slope`` [B] to the embeddings."""
    by_u_pos, by_pos = similarity_gradient(u, d_pos, similarity)
    by_u_neg, by_neg = similarity_gradient(u, d_neg, similarity)
    g = slope[:, None]
    # an example without slope contributes nothing, whatever infinities its embeddings hold
    rows = {"u": g * by_u_neg - g * by_u_pos, "d_pos": -g * by_pos, "d_neg": g * by_neg}
    return {name: np.where(g == 0, 0, row) for name, row in rows.items()}


@impl.loss
def pairwise_hinge(
    u: Array, d_pos: Array, d_neg: Array, *, margin: float = 1.0, similarity: str = "dot", reduction: str = "mean"
) -> Array:
    """max(0, margin - sim(u, d⁺) + sim(u, d⁻)), with gradient 0 at the kink.

    ``u``, ``d_pos``, ``d_neg``: embeddings [B, D] of one dtype (float64, float32, bfloat16, float16); sim is ``dot`` or
    ``cosine`` = x·y / max(‖x‖‖y‖, 1e-8). Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype.
    Raises TypeError for another dtype or a margin that is no number; ValueError for another shape, a margin that is
    negative or not finite, an unknown similarity or reduction, and the mean of an empty batch.
    Source: the document's *hinge loss*. Page: docs/reference/losses/pairwise_hinge.
    """
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    check_margin(margin)
    dtype = u.dtype
    u, d_pos, d_neg = wide(u, d_pos, d_neg)
    z = u.dtype.type(margin) - similarity_of(u, d_pos, similarity) + similarity_of(u, d_neg, similarity)
    return reduce(np.maximum(z, 0), reduction, dtype)


@impl.gradient("pairwise_hinge")
def pairwise_hinge_gradient(
    u: Array, d_pos: Array, d_neg: Array, *, margin: float = 1.0, similarity: str = "dot", reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`pairwise_hinge`; at the kink the member 0 of the subdifferential."""
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    check_margin(margin)
    dtype, batch = u.dtype, len(u)
    u, d_pos, d_neg = wide(u, d_pos, d_neg)
    z = u.dtype.type(margin) - similarity_of(u, d_pos, similarity) + similarity_of(u, d_neg, similarity)
    slope = np.where(z > 0, weight(batch, reduction, u.dtype), 0).astype(u.dtype)
    rows = _ranking_gradient(u, d_pos, d_neg, slope, similarity)
    return {name: row.astype(dtype) for name, row in rows.items()}


@impl.loss
def bpr(u: Array, d_pos: Array, d_neg: Array, *, similarity: str = "dot", reduction: str = "mean") -> Array:
    """log(1 + exp(sim(u, d⁻) - sim(u, d⁺))).

    ``u``, ``d_pos``, ``d_neg``: embeddings [B, D] of one dtype (float64, float32, bfloat16, float16); sim is ``dot`` or
    ``cosine`` = x·y / max(‖x‖‖y‖, 1e-8). Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype.
    Raises TypeError for another dtype; ValueError for another shape, an unknown similarity or reduction, and the mean
    of an empty batch. Source: Rendle et al. 2009, arXiv:1205.2618. Page: docs/reference/losses/bpr.
    """
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    dtype = u.dtype
    u, d_pos, d_neg = wide(u, d_pos, d_neg)
    x = similarity_of(u, d_neg, similarity) - similarity_of(u, d_pos, similarity)
    return reduce(softplus(x), reduction, dtype)


@impl.gradient("bpr")
def bpr_gradient(
    u: Array, d_pos: Array, d_neg: Array, *, similarity: str = "dot", reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`bpr`: ∂/∂x log(1 + exp(x)) = 1 / (1 + exp(-x))."""
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    dtype, batch = u.dtype, len(u)
    u, d_pos, d_neg = wide(u, d_pos, d_neg)
    x = similarity_of(u, d_neg, similarity) - similarity_of(u, d_pos, similarity)
    slope = sigmoid(x) * weight(batch, reduction, u.dtype)
    rows = _ranking_gradient(u, d_pos, d_neg, slope.astype(u.dtype), similarity)
    return {name: row.astype(dtype) for name, row in rows.items()}


# -- contrastive -----------------------------------------------------------------------------------------------------


def _contrastive(d: Array, y: Array, margin: float) -> Array:
    return y * d**2 + (1 - y) * np.maximum(d.dtype.type(margin) - d, 0) ** 2


@impl.loss
def contrastive(d: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean") -> Array:
    """y·d² + (1-y)·max(margin - d, 0)², with gradient 0 at the kink.

    ``d``: distances [B] (float64, float32, bfloat16, float16); ``y``: labels [B] of any dtype, values in [0, 1].
    Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of ``d``.
    Raises TypeError for another dtype or a margin that is no number; ValueError for another shape, a margin that is
    negative or not finite, an unknown reduction, the mean of an empty batch, and labels outside [0, 1].
    Source: Hadsell, Chopra, LeCun 2006. Page: docs/reference/losses/contrastive.
    """
    (batch,) = check_tensors({"d": d}, rank=1)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = d.dtype
    (d,) = wide(d)
    return reduce(_contrastive(d, checked_label("y", y, (batch,), d.dtype, soft=True), margin), reduction, dtype)


@impl.gradient("contrastive")
def contrastive_gradient(d: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean") -> dict[str, Array]:
    """The gradient of :func:`contrastive` by d: 2·y·d - 2·(1-y)·max(margin - d, 0)."""
    (batch,) = check_tensors({"d": d}, rank=1)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = d.dtype
    (d,) = wide(d)
    y = checked_label("y", y, (batch,), d.dtype, soft=True)
    g = weight(batch, reduction, d.dtype)
    return {"d": (g * 2 * y * d - g * 2 * (1 - y) * np.maximum(d.dtype.type(margin) - d, 0)).astype(dtype)}


@impl.loss
def contrastive_pair(x1: Array, x2: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean") -> Array:
    """The contrastive loss y·d² + (1-y)·max(margin - d, 0)² of d = ‖x1 - x2‖₂, with gradient 0 where x1 = x2.

    ``x1``, ``x2``: embeddings [B, D] of one dtype (float64, float32, bfloat16, float16); ``y``: labels [B], values in
    [0, 1], of any dtype. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the embeddings.
    Raises as :func:`contrastive`. Source: Hadsell, Chopra, LeCun 2006. Page: docs/reference/losses/contrastive_pair.
    """
    batch, _ = check_tensors({"x1": x1, "x2": x2}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = x1.dtype
    x1, x2 = wide(x1, x2)
    y = checked_label("y", y, (batch,), x1.dtype, soft=True)
    return reduce(_contrastive(norm(x1 - x2), y, margin), reduction, dtype)


@impl.gradient("contrastive_pair")
def contrastive_pair_gradient(
    x1: Array, x2: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`contrastive_pair`: 0 where x1 = x2."""
    batch, _ = check_tensors({"x1": x1, "x2": x2}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = x1.dtype
    x1, x2 = wide(x1, x2)
    y = checked_label("y", y, (batch,), x1.dtype, soft=True)
    g = weight(batch, reduction, x1.dtype)
    difference = x1 - x2
    d = norm(difference)
    pull = (g * 2 * y)[:, None] * difference
    push = (g * 2 * (1 - y) * np.maximum(x1.dtype.type(margin) - d, 0))[:, None] * unit(difference, d)
    return {"x1": (pull - push).astype(dtype), "x2": (push - pull).astype(dtype)}


# -- labeled triplet ---------------------------------------------------------------------------------------------------


def _triplet_roles(anc: Array, pos: Array, neg: Array, label: Array) -> tuple[Array, Array, Array]:
    """(anchor, what it is drawn to, what it is pushed from): label 0 swaps the positive and the negative."""
    same = label[:, None] == 1
    return anc, np.where(same, pos, neg), np.where(same, neg, pos)


def _sqnorm(x: Array) -> Array:
    """‖x‖² [B] of x [B, D]."""
    return np.sum(x**2, axis=1)


@impl.loss
def labeled_triplet(
    anc: Array, pos: Array, neg: Array, label: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> Array:
    """label 1: 2‖pos-anc‖² - ‖pos-neg‖² - ‖anc-neg‖² + margin; label 0: pos and neg swapped. It is not clamped at 0.

    ``anc``, ``pos``, ``neg``: embeddings [B, D] of one dtype (float64, float32, bfloat16, float16); ``label``: [B],
    0 or 1, of any dtype. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the embeddings.
    Raises as :func:`contrastive`. Source: the document's *triplet loss*. Page: docs/reference/losses/labeled_triplet.
    """
    batch, _ = check_tensors({"anc": anc, "pos": pos, "neg": neg}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = anc.dtype
    anc, pos, neg = wide(anc, pos, neg)
    label = checked_label("label", label, (batch,), anc.dtype, soft=False)
    a, near, far = _triplet_roles(anc, pos, neg, label)
    loss = 2 * _sqnorm(near - a) - _sqnorm(near - far) - _sqnorm(a - far) + anc.dtype.type(margin)
    return reduce(np.where(np.isnan(label), np.nan, loss), reduction, dtype)


@impl.gradient("labeled_triplet")
def labeled_triplet_gradient(
    anc: Array, pos: Array, neg: Array, label: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`labeled_triplet`."""
    batch, _ = check_tensors({"anc": anc, "pos": pos, "neg": neg}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = anc.dtype
    anc, pos, neg = wide(anc, pos, neg)
    label = checked_label("label", label, (batch,), anc.dtype, soft=False)
    a, near, far = _triplet_roles(anc, pos, neg, label)
    g = 2 * weight(batch, reduction, anc.dtype)
    by_anc = 2 * g * (a - near) - g * (a - far)
    by_near = 2 * g * (near - a) - g * (near - far)
    by_far = g * (near - far) + g * (a - far)
    same = label[:, None] == 1
    rows = {"anc": by_anc, "pos": np.where(same, by_near, by_far), "neg": np.where(same, by_far, by_near)}
    return {name: row.astype(dtype) for name, row in rows.items()}
