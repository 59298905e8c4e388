"""Sums in lanes: XLA on a CPU keeps the order of a sum over the last axis, and adds one number at a time."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array, lax

from .common import reduce

LANES = 16
"""Partial sums of a sum: as many float32 as the widest vector registers of a CPU hold."""
SHORT = 1024
"""A sum over fewer examples than this takes no time."""


def lane_sums(*terms: Array) -> list[Array]:
    """The sums over D of several [B, D], in one pass; [B] each."""
    batch, width = terms[0].shape
    lanes = math.gcd(width, LANES)
    parts = [x.reshape(batch, width // lanes, lanes) if lanes > 1 else x for x in terms]
    zeros = [jnp.zeros((), x.dtype) for x in terms]
    while parts[0].ndim > 1:
        parts = lax.reduce(parts, zeros, _added, (1,))
    return parts


def lane_largest(x: Array) -> Array:
    """The largest numbers over C of [B, C]; [B]."""
    batch, width = x.shape
    lanes = math.gcd(width, LANES)
    parts = x.reshape(batch, width // lanes, lanes) if lanes > 1 else x
    while parts.ndim > 1:
        parts = jnp.max(parts, axis=1)
    return parts


def _added(xs: list[Array], ys: list[Array]) -> list[Array]:
    return [x + y for x, y in zip(xs, ys, strict=True)]


def lane_reduced(loss: Array, reduction: str, dtype: jnp.dtype) -> Array:
    """The losses [B] of the examples under ``none``, else their sum or mean, rounded once to ``dtype``."""
    if reduction == "none" or len(loss) < SHORT:
        return reduce(loss, reduction, dtype)
    total = jnp.pad(loss, (0, -len(loss) % LANES))
    for _ in range(LANES.bit_length() - 1):
        half = len(total) // 2
        total = total[:half] + total[half:]
    total = jnp.sum(total)
    return (total if reduction == "sum" else total / len(loss)).astype(dtype)
