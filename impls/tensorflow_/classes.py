"""The losses over classes in TensorFlow.

Everything is taken relative to the largest logit, so that a common offset changes nothing. 16-bit inputs are computed
in float32: 8 bits cannot tell a probability from 1.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from lossmark.impls.arguments import check_reduction, check_tensors
from tensorflow import Tensor

from .common import as_written, checked_label, reduce, wide


def below_largest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The logits [B, C] minus the largest of their row, and the log-sum-exp [B, 1] of these."""
    z = logits - tf.stop_gradient(tf.reduce_max(logits, axis=1, keepdims=True))
    return z, _log(tf.reduce_sum(tf.exp(z), axis=1, keepdims=True))


@tf.custom_gradient
def _log(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """log x, with the gradient g/x: TensorFlow's own takes a reciprocal, which in float32 may be 0.99999994 for 1."""
    return tf.math.log(x), lambda g: g / x


@as_written
def soft_cross_entropy(logits: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Σ_c y_c·(log Σ_j exp(x_j) - x_c), through the differences to the largest logit.

    ``logits``: [B, C] (float64, float32, bfloat16, float16); ``target``: weights of the classes [B, C] of any dtype,
    values in [0, 1], such as probabilities. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of
    the logits. Raises TypeError for another dtype; ValueError for another shape, an unknown reduction, the mean of an
    empty batch, and targets outside [0, 1]
    (eagerly on a CPU).
    Source: Szegedy et al. 2016, arXiv:1512.00567. Page: docs/reference/losses/soft_cross_entropy.
    """
    shape = check_tensors({"logits": logits}, rank=2, across="C")
    check_reduction(reduction, shape[0])
    dtype = logits.dtype
    (logits,) = wide(logits)
    target = checked_label("target", target, shape, logits.dtype, soft=True)
    z, lse = below_largest(logits)
    # a class of weight 0 adds 0 although its logit may be -inf
    loss = tf.reduce_sum(target * (lse - tf.where(target == 0, tf.zeros_like(z), z)), axis=1)
    return reduce(loss, reduction, dtype)
