"""What the losses in TensorFlow have in common: accumulator, reduction, labels, argument checks."""

from __future__ import annotations

import tensorflow as tf
from lossmark.impls.arguments import Shape, check_label, check_label_values
from tensorflow import Tensor

as_written = tf.autograph.experimental.do_not_convert
"""Has a function traced as it stands: without control flow that depends on numbers AutoGraph only takes time."""


def wide(*tensors: Tensor) -> tuple[Tensor, ...]:
    """In the dtype that sums accumulate in: float64 for float64, else float32."""
    return tuple(tf.cast(x, wide_of(x)) for x in tensors)


def wide_of(x: Tensor) -> tf.DType:
    """The dtype that sums accumulate in: float64 for float64, else float32."""
    return tf.float64 if x.dtype == tf.float64 else tf.float32


def reduce(loss: Tensor, reduction: str, dtype: tf.DType) -> Tensor:
    """The losses [B] of the examples under ``none``, else their sum or mean, rounded once to ``dtype``."""
    if reduction == "none":
        return tf.cast(loss, dtype)
    return tf.cast(tf.reduce_sum(loss) if reduction == "sum" else tf.reduce_mean(loss), dtype)


def checked_label(name: str, y: Tensor, shape: Shape, dtype: tf.DType, *, soft: bool) -> Tensor:
    """The label in ``dtype``, refused where its shape or a value is not allowed."""
    check_label(name, y, shape)
    y = tf.cast(y, dtype)
    if tf.executing_eagerly() and "CPU" in y.device:  # elsewhere the check would force a sync
        check_label_values(name, y.numpy(), soft=soft)
    return y
