"""Losses of logits in TensorFlow.

Both terms stay apart: x·(1-y) + log(1 + exp(-x)), as textbooks have it, loses what is small beside x. 16-bit inputs are
computed in float32 and the result is rounded once, to the dtype of the inputs.
"""

from __future__ import annotations

import tensorflow as tf
from lossmark.impls.arguments import check_focal, check_not_negative, check_reduction, check_tensors
from tensorflow import Tensor

from .common import as_written, checked_label, reduce, softplus, wide


@as_written
def bce_with_logits(logits: Tensor, target: Tensor, *, pos_weight: float = 1.0, reduction: str = "mean") -> Tensor:
    """(1-y)·softplus(x) + p·y·softplus(-x), of logits x, targets y and the weight p of positive examples.

    ``logits``: [B] (float64, float32, bfloat16, float16); ``target``: [B] of any dtype, values in [0, 1].
    Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the logits.
    Raises TypeError for another dtype or a weight that is no number; ValueError for another shape, a weight that is
    negative or not finite, an unknown reduction, the mean of an empty batch, and targets outside [0, 1]
    (on a CPU, eagerly).
    Page: docs/reference/losses/bce_with_logits.
    """
    (batch,) = check_tensors({"logits": logits}, rank=1)
    check_not_negative("pos_weight", pos_weight)
    check_reduction(reduction, batch)
    dtype = logits.dtype
    (x,) = wide(logits)
    y = checked_label("target", target, (batch,), x.dtype, soft=True)
    return reduce((1 - y) * softplus(x) + pos_weight * y * softplus(-x), reduction, dtype)


@as_written
def sigmoid_focal(
    logits: Tensor, target: Tensor, *, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> Tensor:
    """α_t·(1 - p_t)^γ·softplus(-z), where z is the logit with the sign of its label and p_t = 1/(1 + exp(-z)).

    α_t is ``alpha`` for label 1 and 1 - ``alpha`` for label 0. ``logits``: [B] (float64, float32, bfloat16, float16);
    ``target``: labels [B] of any dtype, 0 or 1; ``gamma``: γ ≥ 0. Returns [B] under ``none``, [] under ``sum`` and
    ``mean``, in the dtype of the logits. Raises TypeError for another dtype or what is no number; ValueError for
    another shape, a negative ``gamma``, an ``alpha`` outside [0, 1], an unknown reduction, the mean of an empty batch,
    and labels that are not 0 or 1 (on a CPU, eagerly).
    Source: Lin et al. 2017, arXiv:1708.02002, equation 5. Page: docs/reference/losses/sigmoid_focal.
    """
    shape = check_focal(logits, alpha, gamma, reduction)
    dtype = logits.dtype
    (x,) = wide(logits)
    y = checked_label("target", target, shape, x.dtype, soft=False)
    z = tf.where(y == 1, x, tf.where(tf.math.is_nan(y), y, -x))
    share = tf.where(y == 1, tf.constant(alpha, x.dtype), tf.constant(1 - alpha, x.dtype))
    loss = softplus(-z)
    if gamma:  # a power of what has underflown to 0 may have no slope
        loss = tf.exp(-gamma * softplus(z)) * loss
    return reduce(share * loss, reduction, dtype)
