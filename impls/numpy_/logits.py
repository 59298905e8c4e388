"""Losses of logits in NumPy, with their gradients written out.

Both terms stay apart: x·(1-y) + log(1 + exp(-x)), as textbooks have it, loses what is small beside x. 16-bit inputs are
computed in float32 and the result is rounded once, to the dtype of the inputs.
"""

from __future__ import annotations

from lossmark.impls.arguments import check_not_negative, check_reduction, check_tensors

from .common import Array, checked_label, reduce, sigmoid, softplus, weight, wide


def bce_with_logits(logits: Array, target: Array, *, pos_weight: float = 1.0, reduction: str = "mean") -> Array:
    """(1-y)·softplus(x) + p·y·softplus(-x), of logits x, targets y and the weight p of positive examples.

    ``logits``: [B] (float64, float32, bfloat16, float16); ``target``: [B] of any dtype, values in [0, 1].
    Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the logits.
    Raises TypeError for another dtype or a weight that is no number; ValueError for another shape, a weight that is
    negative or not finite, an unknown reduction, the mean of an empty batch, and targets outside [0, 1].
    Page: docs/reference/losses/bce_with_logits.
    """
    (batch,) = check_tensors({"logits": logits}, rank=1)
    check_not_negative("pos_weight", pos_weight)
    check_reduction(reduction, batch)
    dtype = logits.dtype
    (x,) = wide(logits)
    y = checked_label("target", target, (batch,), x.dtype, soft=True)
    return reduce((1 - y) * softplus(x) + x.dtype.type(pos_weight) * y * softplus(-x), reduction, dtype)


def bce_with_logits_gradient(
    logits: Array, target: Array, *, pos_weight: float = 1.0, reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`bce_with_logits` by the logits: (1-y)·sigmoid(x) - p·y·sigmoid(-x).

    Where p = 1 that is sigmoid(x) - y, which loses what is small beside 1.
    """
    dtype, batch = logits.dtype, len(logits)
    (x,) = wide(logits)
    y = checked_label("target", target, (batch,), x.dtype, soft=True)
    g = weight(batch, reduction, x.dtype)
    return {"logits": (g * (1 - y) * sigmoid(x) - g * x.dtype.type(pos_weight) * y * sigmoid(-x)).astype(dtype)}
