"""What the losses in TensorFlow have in common: accumulator, reduction, labels, argument checks."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from lossmark.arguments import SIMILARITIES, check_choice, check_label, check_reduction, check_tensors


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


def checked_label(name: str, y: Tensor, batch: int | None, dtype: tf.DType, *, soft: bool) -> Tensor:
    """The label [B] in ``dtype``, refused where its shape or a value is not allowed."""
    check_label(name, y, batch)
    y = tf.cast(y, dtype)
    if tf.executing_eagerly() and "CPU" in y.device:  # elsewhere the check would force a sync
        _refuse(name, y.numpy(), soft=soft)
    return y


def _refuse(name: str, y: np.ndarray, *, soft: bool) -> None:
    """Raise ValueError for a value that is not in [0, 1], or not 0 or 1; NaN passes.

    Looks at the least and the largest first, which costs least, and at each only where those are no answer.
    """
    if soft and y.size and y.min() >= 0 and y.max() <= 1:
        return
    bad = ~((y >= 0) & (y <= 1) | np.isnan(y)) if soft else ~((y == 0) | (y == 1) | np.isnan(y))
    if bad.any():
        allowed = "[0, 1]" if soft else "0 or 1"
        raise ValueError(f"{name} has the value {y[bad].flat[0]}, expected {allowed}")


def check_ranking(u: Tensor, d_pos: Tensor, d_neg: Tensor, similarity: str, reduction: str) -> None:
    """The argument checks of the losses of (query, positive, negative); raises TypeError or ValueError."""
    batch, _ = check_tensors({"u": u, "d_pos": d_pos, "d_neg": d_neg}, rank=2)
    check_choice("similarity", similarity, SIMILARITIES)
    check_reduction(reduction, batch)
