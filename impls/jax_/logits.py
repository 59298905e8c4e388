"""Losses of logits in JAX.

Both terms stay apart: x·(1-y) + log(1 + exp(-x)), as textbooks have it, loses what is small beside x. 16-bit inputs are
computed in float32 and the result is rounded once, to the dtype of the inputs.
"""

from __future__ import annotations

import jax
from jax import Array
from jax.nn import softplus
from lossmark.impls.arguments import check_not_negative, check_reduction, check_tensors

from .common import checked_label, reduce, wide, wide_of


def bce_with_logits(logits: Array, target: Array, *, pos_weight: float = 1.0, reduction: str = "mean") -> Array:
    """(1-y)·softplus(x) + p·y·softplus(-x), of logits x, targets y and the weight p of positive examples.

    ``logits``: [B] (float64, float32, bfloat16, float16); ``target``: [B] of any dtype, values in [0, 1].
    Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the logits.
    Raises TypeError for another dtype or a weight that is no number; ValueError for another shape, a weight that is
    negative or not finite, an unknown reduction, the mean of an empty batch, and targets outside [0, 1]
    (on a CPU, not under tracing).
    Page: docs/reference/losses/bce_with_logits.
    """
    (batch,) = check_tensors({"logits": logits}, rank=1)
    check_not_negative("pos_weight", pos_weight)
    check_reduction(reduction, batch)
    y = checked_label("target", target, (batch,), wide_of(logits), soft=True)
    return reduce(_costs(logits, y, pos_weight), reduction, logits.dtype)


@jax.jit
def _costs(logits: Array, y: Array, pos_weight: float) -> Array:
    """The losses [B] in the accumulator."""
    (x,) = wide(logits)
    return (1 - y) * softplus(x) + pos_weight * y * softplus(-x)
