"""Losses of logits in NumPy, with their gradients written out.

Both terms stay apart: x·(1-y) + log(1 + exp(-x)), as textbooks have it, loses what is small beside x. 16-bit inputs are
computed in float32 and the result is rounded once, to the dtype of the inputs.
"""

from __future__ import annotations

import numpy as np
from lossmark.impls.arguments import check_focal, check_not_negative, check_reduction, check_tensors

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
    (batch,) = check_tensors({"logits": logits}, rank=1)
    check_not_negative("pos_weight", pos_weight)
    check_reduction(reduction, batch)
    dtype = logits.dtype
    (x,) = wide(logits)
    y = checked_label("target", target, (batch,), x.dtype, soft=True)
    g = weight(batch, reduction, x.dtype)
    return {"logits": (g * (1 - y) * sigmoid(x) - g * x.dtype.type(pos_weight) * y * sigmoid(-x)).astype(dtype)}


def sigmoid_focal(
    logits: Array, target: Array, *, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> Array:
    """α_t·(1 - p_t)^γ·softplus(-z), where z is the logit with the sign of its label and p_t = 1/(1 + exp(-z)).

    α_t is ``alpha`` for label 1 and 1 - ``alpha`` for label 0. ``logits``: [B] (float64, float32, bfloat16, float16);
    ``target``: labels [B] of any dtype, 0 or 1; ``gamma``: γ ≥ 0. Returns [B] under ``none``, [] under ``sum`` and
    ``mean``, in the dtype of the logits. Raises TypeError for another dtype or what is no number; ValueError for
    another shape, a negative ``gamma``, an ``alpha`` outside [0, 1], an unknown reduction, the mean of an empty batch,
    and labels that are not 0 or 1.
    Source: Lin et al. 2017, arXiv:1708.02002, equation 5. Page: docs/reference/losses/sigmoid_focal.
    """
    check_focal(logits, alpha, gamma, reduction)
    z, share = _signed(*wide(logits), target, alpha)
    return reduce(share * (sigmoid(-z) ** z.dtype.type(gamma) * softplus(-z)), reduction, logits.dtype)


def sigmoid_focal_gradient(
    logits: Array, target: Array, *, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`sigmoid_focal`: -α_t·q^γ·(γ·p·softplus(-z) + q), p = 1/(1 + exp(-z)) and q = 1 - p."""
    check_focal(logits, alpha, gamma, reduction)
    (x,) = wide(logits)
    z, share = _signed(x, target, alpha)
    away = sigmoid(-z)
    slope = share * away ** x.dtype.type(gamma) * (x.dtype.type(gamma) * sigmoid(z) * softplus(-z) + away)
    g = weight(len(x), reduction, x.dtype)
    return {"logits": (g * np.where(target == 1, -slope, slope)).astype(logits.dtype)}


def _signed(x: Array, target: Array, alpha: float) -> tuple[Array, Array]:
    """The logits with the sign of their label, and the weights of the labels."""
    y = checked_label("target", target, x.shape, x.dtype, soft=False)
    share = np.where(y == 1, x.dtype.type(alpha), x.dtype.type(1 - alpha))
    return np.where(y == 1, x, np.where(np.isnan(y), y, -x)), share
