"""The losses in JAX.

16-bit inputs are computed in float32 and the result is rounded once, to the dtype of the inputs. Sources: the
formulas of section 2 of the design; jax.nn.softplus is log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lossmark import Implementation, __version__
from lossmark.arguments import SIMILARITIES, check_choice, check_label, check_margin, check_reduction, check_tensors

impl = Implementation("jax", framework="jax", version=__version__, modes=("eager", "jit"))


def _wide(*tensors: Array) -> tuple[Array, ...]:
    """In the dtype that sums accumulate in: float64 for float64, else float32."""
    wide = jnp.float64 if tensors[0].dtype == jnp.float64 else jnp.float32
    return tuple(x.astype(wide) for x in tensors)


def _reduce(loss: Array, reduction: str, dtype: jnp.dtype) -> Array:
    if reduction == "none":
        return loss.astype(dtype)
    return (jnp.sum(loss) if reduction == "sum" else jnp.mean(loss)).astype(dtype)


def _label(name: str, y: Array, batch: int | None, like: Array, *, soft: bool) -> Array:
    check_label(name, y, batch)
    y = jnp.asarray(y, like.dtype)
    if not isinstance(y, jax.core.Tracer) and y.device.platform == "cpu":  # elsewhere the check would force a sync
        host = np.asarray(y)
        bad = (host < 0) | (host > 1) if soft else (host != 0) & (host != 1) & (host == host)
        if bad.any():
            allowed = "[0, 1]" if soft else "0 or 1"
            raise ValueError(f"{name} has the value {host[bad][0]}, expected {allowed}")
    return y


# -- ranking: hinge and BPR ------------------------------------------------------------------------------------------


def _similarity(x: Array, y: Array, similarity: str) -> Array:
    """dot: Σ xᵢyᵢ; cosine: x·y / max(‖x‖‖y‖, 1e-8)."""
    dot = jnp.sum(x * y, axis=1)
    if similarity == "dot":
        return dot
    norms = _norm(x) * _norm(y)
    return dot / jnp.where(norms > 1e-8, norms, jnp.where(jnp.isnan(norms), norms, 1e-8))


@jax.custom_jvp
@jax.jit
def _norm(x: Array) -> Array:
    """‖x‖₂, scaled by a power of two so that no square overflows, with gradient x/‖x‖, and 0 at 0."""
    scale = _power_of_two(jnp.max(jnp.abs(x), axis=1, initial=0))
    return scale * jnp.sqrt(jnp.sum((x / scale[:, None]) ** 2, axis=1))


@_norm.defjvp
def _norm_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    length = _norm(x)
    return length, jnp.sum(_unit(x, length) * dx, axis=1)


@jax.jit
def _unit(x: Array, length: Array) -> Array:
    """x / ‖x‖, and 0 at 0."""
    return jnp.where(length[:, None] == 0, 0, x / jnp.where(length == 0, 1, length)[:, None])


def _power_of_two(x: Array) -> Array:
    """The power of two at or below a positive normal x, else 1: the bits of its exponent."""
    integer, mask = (jnp.int64, 0x7FF << 52) if x.dtype == jnp.float64 else (jnp.int32, 0xFF << 23)
    power = lax.bitcast_convert_type(lax.bitcast_convert_type(x, integer) & integer(mask), x.dtype)
    return jnp.where((power > 0) & jnp.isfinite(power), power, 1)


def _check_ranking(u: Array, d_pos: Array, d_neg: Array, similarity: str, reduction: str) -> None:
    batch, _ = check_tensors({"u": u, "d_pos": d_pos, "d_neg": d_neg}, rank=2)
    check_choice("similarity", similarity, SIMILARITIES)
    check_reduction(reduction, batch)


@impl.loss
def pairwise_hinge(
    u: Array, d_pos: Array, d_neg: Array, *, margin: float = 1.0, similarity: str = "dot", reduction: str = "mean"
) -> Array:
    """max(0, margin - ⟨u,d⁺⟩ + ⟨u,d⁻⟩); embeddings [B, D] → [B] under none, [] under sum and mean."""
    _check_ranking(u, d_pos, d_neg, similarity, reduction)
    check_margin(margin)
    dtype = u.dtype
    u, d_pos, d_neg = _wide(u, d_pos, d_neg)
    loss = jax.nn.relu(margin - _similarity(u, d_pos, similarity) + _similarity(u, d_neg, similarity))
    return _reduce(loss, reduction, dtype)


@impl.loss
def bpr(u: Array, d_pos: Array, d_neg: Array, *, similarity: str = "dot", reduction: str = "mean") -> Array:
    """log(1 + exp(⟨u,d⁻⟩ - ⟨u,d⁺⟩)); embeddings [B, D] → [B] under none, [] under sum and mean."""
    _check_ranking(u, d_pos, d_neg, similarity, reduction)
    dtype = u.dtype
    u, d_pos, d_neg = _wide(u, d_pos, d_neg)
    loss = jax.nn.softplus(_similarity(u, d_neg, similarity) - _similarity(u, d_pos, similarity))
    return _reduce(loss, reduction, dtype)


# -- contrastive -----------------------------------------------------------------------------------------------------


def _contrastive(d: Array, y: Array, margin: float) -> Array:
    return y * d**2 + (1 - y) * jax.nn.relu(margin - d) ** 2


@impl.loss
def contrastive(d: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean") -> Array:
    """y·d² + (1-y)·max(margin - d, 0)²; distances and labels [B] → [B] under none, [] under sum and mean."""
    (batch,) = check_tensors({"d": d}, rank=1)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = d.dtype
    (d,) = _wide(d)
    return _reduce(_contrastive(d, _label("y", y, batch, d, soft=True), margin), reduction, dtype)


@impl.loss
def contrastive_pair(x1: Array, x2: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean") -> Array:
    """The contrastive loss of d = ‖x1 - x2‖₂; embeddings [B, D], labels [B] → [B] or []."""
    batch, _ = check_tensors({"x1": x1, "x2": x2}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = x1.dtype
    x1, x2 = _wide(x1, x2)
    y = _label("y", y, batch, x1, soft=True)
    return _reduce(_contrastive(_norm(x1 - x2), y, margin), reduction, dtype)


# -- labeled triplet ---------------------------------------------------------------------------------------------------


@impl.loss
def labeled_triplet(
    anc: Array, pos: Array, neg: Array, label: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> Array:
    """label=1: 2‖pos-anc‖² - ‖pos-neg‖² - ‖anc-neg‖² + margin, label=0 with pos and neg swapped. Not clamped at 0."""
    batch, _ = check_tensors({"anc": anc, "pos": pos, "neg": neg}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = anc.dtype
    anc, pos, neg = _wide(anc, pos, neg)
    label = _label("label", label, batch, anc, soft=False)
    same = (label == 1)[:, None]
    near, far = jnp.where(same, pos, neg), jnp.where(same, neg, pos)
    squared = lambda x: jnp.sum(x**2, axis=1)
    loss = 2 * squared(near - anc) - squared(near - far) - squared(anc - far) + margin
    return _reduce(jnp.where(jnp.isnan(label), label, loss), reduction, dtype)
