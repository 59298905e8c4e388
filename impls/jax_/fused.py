"""The losses in JAX, moving the fewest bytes: ``from lossmark.impls.jax_.fused import bpr``.

Each is a ``jax.custom_vjp`` of two compiled passes: forward reads the inputs once and keeps a number per example,
backward reads them once more and writes the gradients from the analytic derivative. Sums over D and over the batch go
in lanes, because XLA on a CPU keeps the order of a sum over the last axis and adds one number at a time. Arguments,
results and errors are those of :mod:`lossmark.impls.jax_.losses`, which stands in for ``similarity="cosine"`` of
rankings. Losses over classes are in :mod:`.fused_classes`, those whose logits are products in :mod:`.fused_products`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax
from lossmark.impls.arguments import check_margin, check_ranking, check_reduction, check_tensors

from lossmark import Implementation, __version__

from . import losses as plain
from .common import checked_label, root, wide, wide_of
from .framework import FRAMEWORK
from .fused_classes import cross_entropy, cross_entropy_z
from .fused_products import clip, info_nce, linear_cross_entropy
from .lanes import lane_reduced, lane_sums
from .similarity import norm, unit

impl = Implementation("jax-fused", framework="jax", version=__version__, modes=FRAMEWORK.own["jax-fused"].modes)
impl.loss("clip")(clip)
impl.loss("cross_entropy")(cross_entropy)
impl.loss("cross_entropy_z")(cross_entropy_z)
impl.loss("info_nce")(info_nce)
impl.loss("linear_cross_entropy")(linear_cross_entropy)


def _each(g: Array, like: Array, reduction: str) -> Array:
    """The cotangent of every example's loss, [B] or [], in the accumulator's dtype."""
    g = g.astype(like.dtype)
    return g / like.shape[0] if reduction == "mean" else g


def _rounded(dtype: jnp.dtype, *gradients: Array) -> tuple[Array, ...]:
    return tuple(x.astype(dtype) for x in gradients)


# -- ranking: hinge and BPR ------------------------------------------------------------------------------------------


def _ranking(of: Callable[..., Array], slope: Callable[..., Array]) -> Callable[..., Array]:
    """``of(x, margin)`` of the difference x = ⟨u, d⁻ - d⁺⟩ of two scores [B], with ``slope(x, margin)`` its derivative.

    The difference is an equal evaluation of ⟨u, d⁻⟩ - ⟨u, d⁺⟩ that the specs declare. The loss that is returned is
    called as ``loss(u, d_pos, d_neg, margin, reduction)``.
    """

    @functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
    def loss(u: Array, d_pos: Array, d_neg: Array, margin: float, reduction: str) -> Array:
        return _forward(u, d_pos, d_neg, margin, reduction)[0]

    @functools.partial(jax.jit, static_argnums=4)
    def _forward(u: Array, d_pos: Array, d_neg: Array, margin: float, reduction: str) -> tuple[Array, Array]:
        dtype = u.dtype
        u, d_pos, d_neg = wide(u, d_pos, d_neg)
        (x,) = lane_sums(u * (d_neg - d_pos))
        return lane_reduced(of(x, margin), reduction, dtype), x

    @functools.partial(jax.jit, static_argnums=6)
    def _backward(
        u: Array, d_pos: Array, d_neg: Array, x: Array, g: Array, margin: float, reduction: str
    ) -> tuple[Array, ...]:
        dtype = u.dtype
        u, d_pos, d_neg = wide(u, d_pos, d_neg)
        weight = (slope(x, margin) * _each(g, x, reduction))[:, None]
        return _rounded(dtype, weight * (d_neg - d_pos), -weight * u, weight * u)

    def forward(u: Array, d_pos: Array, d_neg: Array, margin: float, reduction: str) -> tuple[Array, tuple[Array, ...]]:
        value, x = _forward(u, d_pos, d_neg, margin, reduction)
        return value, (u, d_pos, d_neg, x)

    def backward(margin: float, reduction: str, kept: tuple[Array, ...], g: Array) -> tuple[Array, ...]:
        return _backward(*kept, g, margin, reduction)

    loss.defvjp(forward, backward)
    return loss


_hinge = _ranking(lambda x, margin: jax.nn.relu(x + margin), lambda x, margin: (x > -margin).astype(x.dtype))
_bpr = _ranking(lambda x, margin: jax.nn.softplus(x), lambda x, margin: jax.nn.sigmoid(x))


@impl.loss
def pairwise_hinge(
    u: Array, d_pos: Array, d_neg: Array, *, margin: float = 1.0, similarity: str = "dot", reduction: str = "mean"
) -> Array:
    """max(0, margin - ⟨u,d⁺⟩ + ⟨u,d⁻⟩); arguments, result and errors as :func:`.losses.pairwise_hinge`."""
    if similarity != "dot":
        return plain.pairwise_hinge(u, d_pos, d_neg, margin=margin, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    check_margin(margin)
    return _hinge(u, d_pos, d_neg, margin, reduction)


@impl.loss
def bpr(u: Array, d_pos: Array, d_neg: Array, *, similarity: str = "dot", reduction: str = "mean") -> Array:
    """log(1 + exp(⟨u,d⁻⟩ - ⟨u,d⁺⟩)); arguments, result and errors as :func:`.losses.bpr`."""
    if similarity != "dot":
        return plain.bpr(u, d_pos, d_neg, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    return _bpr(u, d_pos, d_neg, 0.0, reduction)


# -- contrastive -----------------------------------------------------------------------------------------------------


@impl.loss
def contrastive(d: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean") -> Array:
    """y·d² + (1-y)·max(margin - d, 0)²; arguments, result and errors as :func:`.losses.contrastive`."""
    (batch,) = check_tensors({"d": d}, rank=1)
    check_margin(margin)
    check_reduction(reduction, batch)
    y = checked_label("y", y, (batch,), wide_of(d), soft=True)
    return _contrastive(d, y, margin, reduction)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _contrastive(d: Array, y: Array, margin: float, reduction: str) -> Array:
    return _contrastive_forward(d, y, margin, reduction)


@functools.partial(jax.jit, static_argnums=3)
def _contrastive_forward(d: Array, y: Array, margin: float, reduction: str) -> Array:
    return lane_reduced(plain.contrastive_terms(d.astype(y.dtype), y, margin), reduction, d.dtype)


@functools.partial(jax.jit, static_argnums=4)
def _contrastive_backward(d: Array, y: Array, g: Array, margin: float, reduction: str) -> Array:
    """∂/∂d = 2·y·d - 2·(1-y)·max(margin - d, 0)."""
    return (2 * _each(g, y, reduction) * (y * d - (1 - y) * jax.nn.relu(margin - d.astype(y.dtype)))).astype(d.dtype)


def _contrastive_fwd(d: Array, y: Array, margin: float, reduction: str) -> tuple[Array, tuple[Array, Array]]:
    return _contrastive_forward(d, y, margin, reduction), (d, y)


def _contrastive_bwd(margin: float, reduction: str, kept: tuple[Array, Array], g: Array) -> tuple[Array, None]:
    return _contrastive_backward(*kept, g, margin, reduction), None


_contrastive.defvjp(_contrastive_fwd, _contrastive_bwd)


@jax.custom_jvp
def _distance(x1: Array, x2: Array) -> Array:
    """‖x1 - x2‖₂ [B]; scaled, which takes two passes, only where a square overflows or underflows."""
    (squared,) = lane_sums(jnp.square(x1 - x2))
    least = 2.0**-900 if squared.dtype == jnp.float64 else 2.0**-80
    ordinary = jnp.all((squared > least) & (squared < jnp.inf))
    return lax.cond(ordinary, lambda x1, x2: root(squared), lambda x1, x2: norm(x1 - x2), x1, x2)


@_distance.defjvp
def _distance_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    d = _distance(*primals)
    return d, jnp.sum(unit(primals[0] - primals[1], d) * (tangents[0] - tangents[1]), axis=1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _pair(x1: Array, x2: Array, y: Array, margin: float, reduction: str) -> Array:
    return _pair_forward(x1, x2, y, margin, reduction)[0]


@functools.partial(jax.jit, static_argnums=4)
def _pair_forward(x1: Array, x2: Array, y: Array, margin: float, reduction: str) -> tuple[Array, Array]:
    d = _distance(*wide(x1, x2))
    return lane_reduced(plain.contrastive_terms(d, y, margin), reduction, x1.dtype), d


@functools.partial(jax.jit, static_argnums=6)
def _pair_backward(
    x1: Array, x2: Array, y: Array, d: Array, g: Array, margin: float, reduction: str
) -> tuple[Array, Array]:
    """∂/∂x1 = 2·y·(x1 - x2) - 2·(1-y)·max(margin - d, 0) · (x1 - x2)/d, and 0 where d = 0."""
    dtype = x1.dtype
    x1, x2 = wide(x1, x2)
    scale = jnp.where(d < 2.0**-60, jnp.asarray(2.0**100, d.dtype), 1)  # so that a very small d can be divided by
    push = (1 - y) * jax.nn.relu(margin - d) / jnp.where(d == 0, 1, d * scale)
    difference = x1 - x2
    g = 2 * _each(g, y, reduction)[..., None]
    # the factors of an example first: a component may be so small that its product with one of them is subnormal
    push = g * jnp.where(d == 0, 0, push)[:, None]
    by_x1 = (g * y[:, None]) * difference - push * (difference * scale[:, None])
    return by_x1.astype(dtype), (-by_x1).astype(dtype)


def _pair_fwd(x1: Array, x2: Array, y: Array, margin: float, reduction: str) -> tuple[Array, tuple[Array, ...]]:
    value, d = _pair_forward(x1, x2, y, margin, reduction)
    return value, (x1, x2, y, d)


def _pair_bwd(margin: float, reduction: str, kept: tuple[Array, ...], g: Array) -> tuple[Array | None, ...]:
    return *_pair_backward(*kept, g, margin, reduction), None


_pair.defvjp(_pair_fwd, _pair_bwd)


@impl.loss
def contrastive_pair(x1: Array, x2: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean") -> Array:
    """The contrastive loss of d = ‖x1 - x2‖₂; arguments, result and errors as :func:`.losses.contrastive_pair`."""
    batch, _ = check_tensors({"x1": x1, "x2": x2}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    y = checked_label("y", y, (batch,), wide_of(x1), soft=True)
    return _pair(x1, x2, y, margin, reduction)


# -- labeled triplet ---------------------------------------------------------------------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _triplet(anc: Array, pos: Array, neg: Array, label: Array, margin: float, reduction: str) -> Array:
    return _triplet_forward(anc, pos, neg, label, margin, reduction)


@functools.partial(jax.jit, static_argnums=5)
def _triplet_forward(anc: Array, pos: Array, neg: Array, label: Array, margin: float, reduction: str) -> Array:
    dtype = anc.dtype
    anc, pos, neg = wide(anc, pos, neg)
    ap, an, pn = lane_sums(jnp.square(anc - pos), jnp.square(anc - neg), jnp.square(pos - neg))
    same = label == 1
    loss = 2 * jnp.where(same, ap, an) - jnp.where(same, an, ap) - pn + margin
    return lane_reduced(jnp.where(jnp.isnan(label), label, loss), reduction, dtype)


@functools.partial(jax.jit, static_argnums=5)
def _triplet_backward(
    anc: Array, pos: Array, neg: Array, label: Array, g: Array, reduction: str
) -> tuple[Array, Array, Array]:
    dtype = anc.dtype
    anc, pos, neg = wide(anc, pos, neg)
    g = _each(g, label, reduction)[..., None]
    same = (label == 1)[:, None]
    from_pos, from_neg = jnp.where(same, 4 * g, -2 * g) * (anc - pos), jnp.where(same, -2 * g, 4 * g) * (anc - neg)
    apart = -2 * g * (pos - neg)
    return _rounded(dtype, from_pos + from_neg, apart - from_pos, -(from_neg + apart))


def _triplet_fwd(
    anc: Array, pos: Array, neg: Array, label: Array, margin: float, reduction: str
) -> tuple[Array, tuple[Array, ...]]:
    return _triplet_forward(anc, pos, neg, label, margin, reduction), (anc, pos, neg, label)


def _triplet_bwd(margin: float, reduction: str, kept: tuple[Array, ...], g: Array) -> tuple[Array | None, ...]:
    return *_triplet_backward(*kept, g, reduction), None


_triplet.defvjp(_triplet_fwd, _triplet_bwd)


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
    return _triplet(anc, pos, neg, label, margin, reduction)
