"""Similarities in JAX: dot and cosine of rows, and of every row with every other."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax

from .common import root

GUARD = 1e-8
"""The least that a cosine divides by."""


@functools.partial(jax.jit, static_argnames="similarity")
def similarity_of(x: Array, y: Array, similarity: str) -> Array:
    """Of each row [B, D] with its own [B]: dot, Σ xᵢyᵢ; cosine, x·y / max(‖x‖‖y‖, 1e-8)."""
    dot = jnp.sum(x * y, axis=1)
    return dot if similarity == "dot" else _cosine(dot, norm(x) * norm(y))


@functools.partial(jax.jit, static_argnames="similarity")
def similarities(x: Array, y: Array, similarity: str) -> Array:
    """Of each row of x [B, D] with every row of y [J, D]: [B, J]."""
    dot = jnp.matmul(x, y.T, precision="highest")  # a GPU has a faster one of 10 bits
    return dot if similarity == "dot" else _cosine(dot, norm(x)[:, None] * norm(y))


def _cosine(dot: Array, norms: Array) -> Array:
    """The quotient with its guard, which hides no NaN."""
    return _quotient(dot, jnp.where(norms > GUARD, norms, jnp.where(jnp.isnan(norms), norms, GUARD)))


@jax.custom_jvp
def _quotient(x: Array, y: Array) -> Array:
    """x / y. The derivative that JAX has by y is -x·y⁻², and y⁻² underflows where x/y is ordinary."""
    return x / y


@_quotient.defjvp
def _quotient_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (x, y), (dx, dy) = primals, tangents
    quotient = _quotient(x, y)
    return quotient, (dx - quotient * dy) / y


@jax.custom_jvp
@jax.jit
def norm(x: Array) -> Array:
    """‖x‖₂, scaled by a power of two so that no square overflows, with gradient x/‖x‖, and 0 at 0."""
    scale = _power_of_two(jnp.max(jnp.abs(x), axis=1, initial=0))
    return scale * root(jnp.sum((x / scale[:, None]) ** 2, axis=1))


@norm.defjvp
def _norm_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    length = norm(x)
    return length, jnp.sum(unit(x, length) * dx, axis=1)


@jax.jit
def unit(x: Array, length: Array) -> Array:
    """x / ‖x‖, and 0 at 0. XLA multiplies by 1/‖x‖, which it flushes to 0 where ‖x‖ is very large: so both are less."""
    less = jnp.where(length > _largest_divisor(x), 0.25, 1).astype(x.dtype)
    quotient = (x * less[:, None]) / jnp.where(length == 0, 1, length * less)[:, None]
    return jnp.where(length[:, None] == 0, 0, quotient)


def _largest_divisor(x: Array) -> float:
    """The largest power of two of which 1/x is a normal number."""
    return 2.0 ** (jnp.finfo(x.dtype).maxexp - 2)


def _power_of_two(x: Array) -> Array:
    """The power of two at or below a positive normal x, or the one below that is a divisor to XLA; else 1."""
    integer, mask = (jnp.int64, 0x7FF << 52) if x.dtype == jnp.float64 else (jnp.int32, 0xFF << 23)
    power = lax.bitcast_convert_type(lax.bitcast_convert_type(x, integer) & integer(mask), x.dtype)
    return jnp.where((power > 0) & jnp.isfinite(power), jnp.minimum(power, _largest_divisor(x)), 1)
