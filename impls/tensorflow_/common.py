"""What the losses in TensorFlow have in common: accumulator, reduction, softplus, labels, argument checks."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from lossmark.impls.arguments import Shape, check_indices, check_label, check_label_values
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


@tf.custom_gradient
def softplus(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """log(1 + exp(x)); its gradient is sigmoid(x) at 0 too, where |x| and max(x, 0) have kinks.

    tf.nn.softplus is 6.7 ulp off where it changes its formula.
    """
    return tf.nn.relu(x) + tf.math.log1p(tf.exp(-tf.abs(x))), lambda g: g * sigmoid(x)


@tf.custom_gradient
def sigmoid(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """1 / (1 + exp(-x)), the derivative of :func:`softplus`; its own is sigmoid(x)·sigmoid(-x) at 0, too."""
    return _sigmoid(x), lambda g: g * (sigmoid(x) * sigmoid(-x))


def _sigmoid(x: Tensor) -> Tensor:
    small = tf.exp(-tf.abs(x))
    return tf.where(x >= 0, tf.ones_like(x), small) / (1 + small)


def checked_class(target: Tensor, classes: Tensor, ignore_index: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """The class of each example, 0 where it has none, which of them count, and which of those that do have a class.

    Raises ValueError for what counts and is no class, eagerly on a CPU.
    """
    target = tf.cast(target, tf.int64)
    counted = tf.ones_like(target, tf.bool) if ignore_index is None else target != ignore_index
    known = (target >= 0) & (target < classes)
    if tf.executing_eagerly() and "CPU" in target.device:  # elsewhere the check would force a sync
        check_indices("target", tf.where(counted, target, 0).numpy(), int(classes))
    return tf.where(counted & known, target, 0), counted, known


def checked_label(name: str, y: Tensor, shape: Shape, dtype: tf.DType, *, soft: bool) -> Tensor:
    """The label in ``dtype``, refused where its shape or a value is not allowed."""
    check_label(name, y, shape)
    y = tf.cast(y, dtype)
    if tf.executing_eagerly() and "CPU" in y.device:  # elsewhere the check would force a sync
        check_label_values(name, y.numpy(), soft=soft)
    return y
