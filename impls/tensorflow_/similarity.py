"""Similarities in TensorFlow: dot and cosine of rows, and of every row with every other."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from tensorflow import Tensor

GUARD = 1e-8
"""The least that a cosine divides by."""


def similarity_of(x: Tensor, y: Tensor, similarity: str) -> Tensor:
    """Of each row [B, D] with its own [B]: dot, Σ xᵢyᵢ; cosine, x·y / max(‖x‖‖y‖, 1e-8)."""
    dot = tf.reduce_sum(x * y, axis=1)
    return dot if similarity == "dot" else quotient(dot, tf.maximum(norm(x) * norm(y), GUARD))


def similarities(x: Tensor, y: Tensor, similarity: str) -> Tensor:
    """Of each row of x [B, D] with every row of y [J, D]: [B, J]."""
    dot = tf.linalg.matmul(x, y, transpose_b=True)
    return dot if similarity == "dot" else quotient(dot, tf.maximum(norm(x)[:, None] * norm(y), GUARD))


@tf.custom_gradient
def quotient(x: Tensor, y: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """x / y. TensorFlow's gradient by y is -x/y/y, of which XLA makes -x/(y·y): a square that leaves the range."""
    found = x / y
    return found, lambda g: (g / y, -(g / y) * found)


@tf.custom_gradient
def norm(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """‖x‖₂, scaled by a power of two so that no square overflows, with gradient x/‖x‖, and 0 at 0."""
    scale = _power_of_two(tf.reduce_max(tf.abs(x), axis=1))
    length = scale * tf.sqrt(tf.reduce_sum(tf.square(x / scale[:, None]), axis=1))
    return length, lambda g: g[:, None] * tf.math.divide_no_nan(x, length[:, None])


def _power_of_two(x: Tensor) -> Tensor:
    """The power of two at or below a positive normal x, else 1: the bits of its exponent."""
    integer, mask = (tf.int64, 0x7FF << 52) if x.dtype == tf.float64 else (tf.int32, 0xFF << 23)
    power = tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(x, integer), tf.constant(mask, integer)), x.dtype)
    return tf.where((power > 0) & tf.math.is_finite(power), power, tf.ones_like(power))
