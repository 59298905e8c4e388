"""Losses of logits that are softened first, by a temperature or a cap, in JAX.

16-bit inputs are computed in float32: 8 bits cannot tell a probability from 1. What is computed of each example is one
program.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax
from lossmark.impls.arguments import check_capped, check_distilled

from .classes import below_largest
from .common import checked_class, reduce, wide


def distill_kl(student: Array, teacher: Array, *, temperature: float = 1.0, reduction: str = "mean") -> Array:
    """T²·Σ_c p_c·(log p_c - log q_c) of the softened probabilities p = softmax(t/T) and q = softmax(s/T).

    ``student``, ``teacher``: logits [B, C] of one dtype (float64, float32, bfloat16, float16); the teacher has no
    gradient; ``temperature``: T > 0. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype. Raises
    TypeError for another dtype or a temperature that is no number; ValueError for another shape, a temperature that is
    not positive and finite, an unknown reduction, and the mean of an empty batch.
    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531. Page: docs/reference/losses/distill_kl.
    """
    check_distilled(student, teacher, temperature, reduction)
    return reduce(_softened(student, teacher, temperature), reduction, student.dtype)


@jax.jit
def _softened(student: Array, teacher: Array, temperature: float) -> Array:
    """The losses [B] in the accumulator."""
    s, t = wide(student, lax.stop_gradient(teacher))
    (s, log_s), (t, log_t) = below_largest(s / temperature), below_largest(t / temperature)
    log_p = t - log_t
    each = jnp.exp(log_p) * (jnp.where(t == -jnp.inf, 0, log_p) + (log_s - jnp.where(t == -jnp.inf, 0, s)))
    return temperature * temperature * jnp.sum(each, axis=1)


def cross_entropy_z(
    logits: Array,
    target: Array,
    *,
    z_weight: float = 1e-4,
    softcap: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """The cross entropy of softmax(x) and the class y, plus z·lse(x)², of x = s·tanh(logits/s) where s > 0.

    ``logits``: [B, C] (float64, float32, bfloat16, float16); ``target``: the number of a class [B], of an integer
    dtype; ``z_weight``: z ≥ 0; ``softcap``: s ≥ 0, of which 0 is none. Rows whose target is ``ignore_index`` cost
    nothing and do not count; a mean divides by the number of those that do, and is NaN where there is none. Returns [B]
    under ``none``, [] under ``sum`` and ``mean``, in the dtype of the logits. Raises TypeError for another dtype or
    what is no number; ValueError for another shape, a negative weight or cap, an unknown reduction, the mean of an
    empty batch, and a target that is no class (on a CPU, not under tracing; else the loss is NaN).
    Source: Chowdhery et al. 2022, arXiv:2204.02311, section 5. Page: docs/reference/losses/cross_entropy_z.
    """
    check_capped(logits, target, z_weight, softcap, ignore_index, reduction)
    target = checked_class(target, logits.shape[1], ignore_index)
    loss, counted = _capped(logits, target, z_weight, softcap, ignore_index, capped=softcap > 0)
    if reduction != "mean":
        return reduce(loss, reduction, logits.dtype)
    return (jnp.sum(loss) / jnp.sum(counted)).astype(logits.dtype)


@functools.partial(jax.jit, static_argnames="capped")
def _capped(
    logits: Array, target: Array, z_weight: float, softcap: float, ignore_index: int, *, capped: bool
) -> tuple[Array, Array]:
    """The losses [B] in the accumulator, and which rows count."""
    (logits,) = wide(logits)
    classes, target = logits.shape[1], target.astype(int)  # a narrow dtype may not hold ignore_index
    counted = target != ignore_index
    known = (target >= 0) & (target < classes)
    x = jnp.where(counted[:, None], logits, 0)
    if capped:
        x = softcap * jnp.tanh(x / softcap)
    z, lse = below_largest(x)
    own = jnp.take_along_axis(lse - z, jnp.where(counted, target, 0)[:, None], axis=1)[:, 0]
    whole = lax.stop_gradient(jnp.max(x, axis=1)) + lse[:, 0]
    loss = own + z_weight * whole * whole
    return jnp.where(counted, jnp.where(known, loss, jnp.nan), 0), counted.astype(logits.dtype)
