"""Similarities in NumPy: dot and cosine of rows, and of every row with every other, with their gradients."""

from __future__ import annotations

import numpy as np

from .common import Array

GUARD = 1e-8
"""The least that a cosine divides by."""


def similarity_of(x: Array, y: Array, similarity: str) -> Array:
    """Of each row [B, D] with its own [B]: dot, Σ xᵢyᵢ; cosine, x·y / max(‖x‖‖y‖, 1e-8)."""
    dot = np.sum(x * y, axis=1)
    return dot if similarity == "dot" else dot / np.maximum(norm(x) * norm(y), x.dtype.type(GUARD))


def similarities(x: Array, y: Array, similarity: str) -> Array:
    """Of each row of x [B, D] with every row of y [J, D]: [B, J]."""
    dot = x @ y.T
    return dot if similarity == "dot" else dot / np.maximum(norm(x)[:, None] * norm(y), x.dtype.type(GUARD))


def similarities_gradient(x: Array, y: Array, slope: Array, similarity: str) -> tuple[Array, Array]:
    """The chain rule from the similarities [B, J], of slope [B, J], to x and y."""
    if similarity == "dot":
        return slope @ y, slope.T @ x
    length_x, length_y = norm(x), norm(y)
    product = length_x[:, None] * length_y
    norms = np.maximum(product, x.dtype.type(GUARD))
    # the guard is constant where it rules, so the norms have a slope only above it
    pull = slope * np.where(product > x.dtype.type(GUARD), x @ y.T / norms / norms, 0)
    slope = slope / norms
    return (
        slope @ y - (pull @ length_y)[:, None] * unit(x, length_x),
        slope.T @ x - (pull.T @ length_x)[:, None] * unit(y, length_y),
    )


def similarity_gradient(x: Array, y: Array, similarity: str) -> tuple[Array, Array]:
    """∂sim/∂x and ∂sim/∂y, each [B, D]."""
    if similarity == "dot":
        return y, x
    length_x, length_y = norm(x), norm(y)
    guard = x.dtype.type(GUARD)
    norms = np.maximum(length_x * length_y, guard)
    # the guard is constant where it rules, so the norms have a slope only above it
    pull = np.where(length_x * length_y > guard, np.sum(x * y, axis=1) / norms / norms, 0)
    return (
        y / norms[:, None] - (pull * length_y)[:, None] * unit(x, length_x),
        x / norms[:, None] - (pull * length_x)[:, None] * unit(y, length_y),
    )


def norm(x: Array) -> Array:
    """‖x‖₂, scaled by the largest component so that no square overflows or underflows."""
    largest = np.max(np.abs(x), axis=1, initial=0)
    scale = np.where((largest > 0) & np.isfinite(largest), np.exp2(np.frexp(largest)[1] - 1), 1).astype(x.dtype)
    return scale * np.sqrt(np.sum((x / scale[:, None]) ** 2, axis=1))


def unit(x: Array, length: Array) -> Array:
    """x/‖x‖, and 0 where ‖x‖ = 0."""
    safe = np.where(length == 0, 1, length)
    return np.where(length[:, None] == 0, 0, x / safe[:, None]).astype(x.dtype)
