"""The losses over classes in JAX.

Everything is taken relative to the largest logit, so that a common offset changes nothing. 16-bit inputs are computed
in float32: 8 bits cannot tell a probability from 1. What is computed of each example is one program: outside of a jit
every operation by itself would be another, compiled for every shape.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.special import xlogy
from lossmark.impls.arguments import check_classes, check_reduction, check_tensors

from .common import checked_class, checked_label, reduce, wide, wide_of


def below_largest(logits: Array) -> tuple[Array, Array]:
    """The logits [B, C] minus the largest of their row, and the log-sum-exp [B, 1] of these."""
    z = logits - lax.stop_gradient(jnp.max(logits, axis=1, keepdims=True))
    return z, jax.nn.logsumexp(z, axis=1, keepdims=True)


def soft_cross_entropy(logits: Array, target: Array, *, reduction: str = "mean") -> Array:
    """Σ_c y_c·(log Σ_j exp(x_j) - x_c), through the differences to the largest logit.

    ``logits``: [B, C] (float64, float32, bfloat16, float16); ``target``: weights of the classes [B, C] of any dtype,
    values in [0, 1], such as probabilities. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of
    the logits. Raises TypeError for another dtype; ValueError for another shape, an unknown reduction, the mean of an
    empty batch, and, on a CPU and not under tracing, targets outside [0, 1].
    Source: Szegedy et al. 2016, arXiv:1512.00567. Page: docs/reference/losses/soft_cross_entropy.
    """
    shape = check_tensors({"logits": logits}, rank=2, across="C")
    check_reduction(reduction, shape[0])
    target = checked_label("target", target, shape, wide_of(logits), soft=True)
    return reduce(_soft(logits, target), reduction, logits.dtype)


@jax.jit
def _soft(logits: Array, target: Array) -> Array:
    """The losses [B] in the accumulator."""
    z, lse = below_largest(*wide(logits))
    # a class of weight 0 adds 0 although its logit may be -inf
    return jnp.sum(target * (lse - jnp.where(target == 0, 0, z)), axis=1)


def cross_entropy(
    logits: Array,
    target: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Array:
    """The cross entropy of softmax(x) and the class y, with weights of the classes and label smoothing ε.

    (1-ε)·w_y·(L - z_y) + ε·mean_c(w_c·(L - z_c)), where z are the logits minus the largest and L = log Σ exp(z).
    ``logits``: [B, C] (float64, float32, bfloat16, float16); ``target``: the number of a class [B], of an integer
    dtype; ``weight``: [C] in the dtype of the logits, or None for ones. Rows whose target is ``ignore_index`` cost
    nothing and do not count; a mean divides by the weights Σ w_y of those that do, and is NaN where there is none.
    Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the logits. Raises TypeError for another
    dtype or what is no number; ValueError for another shape, a smoothing outside [0, 1], an unknown reduction, the mean
    of an empty batch, and a target that is no class (on a CPU, not under tracing; else the loss is NaN).
    Source: Goodfellow, Bengio, Courville 2016, Deep Learning, 6.2.2. Page: docs/reference/losses/cross_entropy.
    """
    shape = check_tensors({"logits": logits}, rank=2, across="C")
    check_classes(target, weight, logits, ignore_index, label_smoothing)
    check_reduction(reduction, shape[0])
    target = checked_class(target, shape[1], ignore_index)
    loss, weights = _costs(logits, target, weight, ignore_index, label_smoothing, smoothed=label_smoothing > 0)
    if reduction != "mean":
        return reduce(loss, reduction, logits.dtype)
    return (jnp.sum(loss) / jnp.sum(weights)).astype(logits.dtype)


@functools.partial(jax.jit, static_argnames="smoothed")
def _costs(
    logits: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float, *, smoothed: bool
) -> tuple[Array, Array]:
    """The losses [B] in the accumulator, and what each counts in a mean."""
    (logits,) = wide(logits)
    classes, target = logits.shape[1], target.astype(int)  # a narrow dtype may not hold ignore_index
    counted = target != ignore_index
    known = (target >= 0) & (target < classes)
    index = jnp.where(counted, target, 0)
    w = jnp.ones(classes, logits.dtype) if weight is None else weight.astype(logits.dtype)
    z, lse = below_largest(jnp.where(counted[:, None], logits, 0))
    each = lse - z
    w_y = w[index]
    loss = w_y * jnp.take_along_axis(each, index[:, None], axis=1)[:, 0]
    if smoothed:
        loss = (1 - label_smoothing) * loss + label_smoothing * jnp.mean(w * each, axis=1)
    return jnp.where(counted, jnp.where(known, loss, jnp.nan), 0), jnp.where(counted, w_y, 0)


def kl_div(log_q: Array, p: Array, *, reduction: str = "mean") -> Array:
    """Σ_c p_c·(log p_c - log q_c), where a class of p = 0 costs nothing.

    ``log_q``: log-probabilities [B, C] (float64, float32, bfloat16, float16); ``p``: probabilities [B, C] of any dtype,
    values in [0, 1]. A class of p = 0 and log q = -inf costs nothing. Returns [B] under ``none``, [] under ``sum`` and
    ``mean``, which is over the examples, in the dtype of log_q. Raises TypeError for another dtype; ValueError for
    another shape, an unknown reduction, the mean of an empty batch, and, on a CPU and not under tracing, p outside
    [0, 1].
    Source: Kullback, Leibler 1951. Page: docs/reference/losses/kl_div.
    """
    shape = check_tensors({"log_q": log_q}, rank=2, across="C")
    check_reduction(reduction, shape[0])
    p = checked_label("p", p, shape, wide_of(log_q), soft=True)
    return reduce(_divergence(log_q, p), reduction, log_q.dtype)


@jax.jit
def _divergence(log_q: Array, p: Array) -> Array:
    """The divergences [B] in the accumulator."""
    (log_q,) = wide(log_q)
    log_q = jnp.where((p == 0) & (log_q == -jnp.inf), 0, log_q)
    return jnp.sum(xlogy(p, p) - p * log_q, axis=1)
