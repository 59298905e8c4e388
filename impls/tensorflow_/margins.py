"""Margins between classes in TensorFlow. 16-bit inputs are computed in float32."""

from __future__ import annotations

import tensorflow as tf
from lossmark.impls.arguments import check_margins
from tensorflow import Tensor

from .common import as_written, checked_class, reduce, wide


@as_written
def multi_margin(logits: Tensor, target: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """The mean over the classes c of max(0, margin - x_y + x_c), where the class y itself costs nothing.

    The gradient at a kink is 0. ``logits``: scores [B, C] (float64, float32, bfloat16, float16); ``target``: the number
    of a class [B], of an integer dtype. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the
    logits. Raises TypeError for another dtype or a margin that is no number; ValueError for another shape, a margin
    that is negative or not finite, an unknown reduction, the mean of an empty batch, and a target that is no class
    (eagerly on a CPU; else the loss is NaN).
    Source: Weston, Watkins 1999. Page: docs/reference/losses/multi_margin.
    """
    check_margins(logits, target, margin, reduction)
    dtype = logits.dtype
    (logits,) = wide(logits)
    classes = tf.shape(logits, out_type=tf.int64)[1]
    target, _, known = checked_class(target, classes)
    own = tf.range(classes) == target[:, None]
    zeros = tf.zeros_like(logits)
    score = tf.reduce_sum(tf.where(own, logits, zeros), axis=1, keepdims=True)
    loss = tf.reduce_mean(tf.where(own, zeros, tf.nn.relu(margin - score + logits)), axis=1)
    return reduce(tf.where(known, loss, tf.zeros_like(loss) + float("nan")), reduction, dtype)
