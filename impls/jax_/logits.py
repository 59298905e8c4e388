"""Losses of logits in JAX.

Both terms stay apart: x·(1-y) + log(1 + exp(-x)), as textbooks have it, loses what is small beside x. 16-bit inputs are
computed in float32 and the result is rounded once, to the dtype of the inputs.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import Array
from jax.nn import softplus
from lossmark.impls.arguments import check_focal, check_not_negative, check_reduction, check_tensors

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


def sigmoid_focal(
    logits: Array, target: Array, *, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> Array:
    """α_t·(1 - p_t)^γ·softplus(-z), where z is the logit with the sign of its label and p_t = 1/(1 + exp(-z)).

    α_t is ``alpha`` for label 1 and 1 - ``alpha`` for label 0. ``logits``: [B] (float64, float32, bfloat16, float16);
    ``target``: labels [B] of any dtype, 0 or 1; ``gamma``: γ ≥ 0. Returns [B] under ``none``, [] under ``sum`` and
    ``mean``, in the dtype of the logits. Raises TypeError for another dtype or what is no number; ValueError for
    another shape, a negative ``gamma``, an ``alpha`` outside [0, 1], an unknown reduction, the mean of an empty batch,
    and labels that are not 0 or 1 (on a CPU, not under
    tracing).
    Source: Lin et al. 2017, arXiv:1708.02002, equation 5. Page: docs/reference/losses/sigmoid_focal.
    """
    shape = check_focal(logits, alpha, gamma, reduction)
    y = checked_label("target", target, shape, wide_of(logits), soft=False)
    return reduce(_focal(logits, y, alpha, gamma, focused=gamma > 0), reduction, logits.dtype)


@functools.partial(jax.jit, static_argnames="focused")
def _focal(logits: Array, y: Array, alpha: float, gamma: float, *, focused: bool) -> Array:
    """The losses [B] in the accumulator."""
    (x,) = wide(logits)
    z = jnp.where(y == 1, x, jnp.where(jnp.isnan(y), y, -x))
    # a power of what has underflown to 0 may have no slope
    weight = jnp.exp(-gamma * softplus(z)) if focused else 1.0
    return jnp.where(y == 1, alpha, 1 - alpha) * (weight * softplus(-z))
