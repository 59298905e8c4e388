"""Losses of logits that are softened first, by a temperature or a cap, in NumPy, with their gradients written out.

16-bit inputs are computed in float32: 8 bits cannot tell a probability from 1.
"""

from __future__ import annotations

import numpy as np
from lossmark.impls.arguments import check_capped, check_distilled

from .classes import below_largest
from .common import Array, checked_class, reduce, weight, wide


def distill_kl(student: Array, teacher: Array, *, temperature: float = 1.0, reduction: str = "mean") -> Array:
    """T²·Σ_c p_c·(log p_c - log q_c) of the softened probabilities p = softmax(t/T) and q = softmax(s/T).

    ``student``, ``teacher``: logits [B, C] of one dtype (float64, float32, bfloat16, float16); the teacher has no
    gradient; ``temperature``: T > 0. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype. Raises
    TypeError for another dtype or a temperature that is no number; ValueError for another shape, a temperature that is
    not positive and finite, an unknown reduction, and the mean of an empty batch.
    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531. Page: docs/reference/losses/distill_kl.
    """
    check_distilled(student, teacher, temperature, reduction)
    s, t = wide(student, teacher)
    by = s.dtype.type(temperature)
    (s, log_s), (t, log_t) = below_largest(s / by), below_largest(t / by)
    excluded = t == -np.inf  # a class that costs nothing
    away = np.where(excluded, 0, t - log_t) + (log_s - np.where(excluded, 0, s))
    return reduce(by * by * np.sum(np.exp(t - log_t) * away, axis=1), reduction, student.dtype)


def distill_kl_gradient(
    student: Array, teacher: Array, *, temperature: float = 1.0, reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`distill_kl` by the student: T·(q·Σp - p)."""
    check_distilled(student, teacher, temperature, reduction)
    s, t = wide(student, teacher)
    by = s.dtype.type(temperature)
    (s, log_s), (t, log_t) = below_largest(s / by), below_largest(t / by)
    p = np.exp(t - log_t)
    slope = by * (np.exp(s - log_s) * np.sum(p, axis=1, keepdims=True) - p)
    return {"student": (weight(len(s), reduction, s.dtype) * slope).astype(student.dtype)}


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
    empty batch, and a target that is no class.
    Source: Chowdhery et al. 2022, arXiv:2204.02311, section 5. Page: docs/reference/losses/cross_entropy_z.
    """
    check_capped(logits, target, z_weight, softcap, ignore_index, reduction)
    (x,) = wide(logits)
    index, counted = checked_class(target, x.shape[1], ignore_index)
    x = _capped(np.where(counted[:, None], x, 0), softcap)
    z, lse = below_largest(x)
    whole = np.max(x, axis=1) + lse[:, 0]
    loss = np.take_along_axis(lse - z, index[:, None], axis=1)[:, 0] + x.dtype.type(z_weight) * whole * whole
    loss = np.where(counted, loss, 0)
    if reduction != "mean":
        return reduce(loss, reduction, logits.dtype)
    with np.errstate(invalid="ignore"):  # nothing counts: 0/0
        return np.asarray(np.sum(loss) / np.sum(counted, dtype=x.dtype)).astype(logits.dtype)


def cross_entropy_z_gradient(
    logits: Array,
    target: Array,
    *,
    z_weight: float = 1e-4,
    softcap: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> dict[str, Array]:
    """The gradient of :func:`cross_entropy_z`: p - δ_y + 2z·lse(x)·p, times 1 - tanh² where the logits are capped."""
    check_capped(logits, target, z_weight, softcap, ignore_index, reduction)
    (x,) = wide(logits)
    index, counted = checked_class(target, x.shape[1], ignore_index)
    known = np.where(counted[:, None], x, 0)
    x = _capped(known, softcap)
    z, lse = below_largest(x)
    p = np.exp(z - lse)
    whole = np.max(x, axis=1, keepdims=True) + lse
    slope = (p - (np.arange(x.shape[1]) == index[:, None])) + 2 * x.dtype.type(z_weight) * whole * p
    if softcap:
        slope = slope * (1 - np.tanh(known / x.dtype.type(softcap)) ** 2)
    g = counted.astype(x.dtype)
    if reduction == "mean":
        with np.errstate(invalid="ignore", divide="ignore"):  # nothing counts
            g = g / np.sum(g)
    return {"logits": (g[:, None] * slope).astype(logits.dtype)}


def _capped(x: Array, softcap: float) -> Array:
    """The logits, softly capped where there is a cap."""
    return x.dtype.type(softcap) * np.tanh(x / x.dtype.type(softcap)) if softcap else x
