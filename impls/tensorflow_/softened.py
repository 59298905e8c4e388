"""Losses of logits that are softened first, by a temperature or a cap, in TensorFlow.

16-bit inputs are computed in float32: 8 bits cannot tell a probability from 1.
"""

from __future__ import annotations

import tensorflow as tf
from lossmark.impls.arguments import check_capped, check_distilled
from tensorflow import Tensor

from .classes import below_largest
from .common import as_written, checked_class, reduce, wide


@as_written
def distill_kl(student: Tensor, teacher: Tensor, *, temperature: float = 1.0, reduction: str = "mean") -> Tensor:
    """T²·Σ_c p_c·(log p_c - log q_c) of the softened probabilities p = softmax(t/T) and q = softmax(s/T).

    ``student``, ``teacher``: logits [B, C] of one dtype (float64, float32, bfloat16, float16); the teacher has no
    gradient; ``temperature``: T > 0. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype. Raises
    TypeError for another dtype or a temperature that is no number; ValueError for another shape, a temperature that is
    not positive and finite, an unknown reduction, and the mean of an empty batch.
    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531. Page: docs/reference/losses/distill_kl.
    """
    check_distilled(student, teacher, temperature, reduction)
    s, t = wide(student, tf.stop_gradient(teacher))
    (s, log_s), (t, log_t) = below_largest(s / temperature), below_largest(t / temperature)
    excluded, zeros = t == -float("inf"), tf.zeros_like(t)  # a class that costs nothing
    away = tf.where(excluded, zeros, t - log_t) + (log_s - tf.where(excluded, zeros, s))
    loss = temperature * temperature * tf.reduce_sum(tf.exp(t - log_t) * away, axis=1)
    return reduce(loss, reduction, student.dtype)


@as_written
def cross_entropy_z(
    logits: Tensor,
    target: Tensor,
    *,
    z_weight: float = 1e-4,
    softcap: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """The cross entropy of softmax(x) and the class y, plus z·lse(x)², of x = s·tanh(logits/s) where s > 0.

    ``logits``: [B, C] (float64, float32, bfloat16, float16); ``target``: the number of a class [B], of an integer
    dtype; ``z_weight``: z ≥ 0; ``softcap``: s ≥ 0, of which 0 is none. Rows whose target is ``ignore_index`` cost
    nothing and do not count; a mean divides by the number of those that do, and is NaN where there is none. Returns [B]
    under ``none``, [] under ``sum`` and ``mean``, in the dtype of the logits. Raises TypeError for another dtype or
    what is no number; ValueError for another shape, a negative weight or cap, an unknown reduction, the mean of an
    empty batch, and a target that is no class (eagerly on a CPU; else the loss is NaN).
    Source: Chowdhery et al. 2022, arXiv:2204.02311, section 5. Page: docs/reference/losses/cross_entropy_z.
    """
    check_capped(logits, target, z_weight, softcap, ignore_index, reduction)
    dtype = logits.dtype
    (logits,) = wide(logits)
    classes = tf.shape(logits, out_type=tf.int64)[1]
    index, counted, known = checked_class(target, classes, ignore_index)
    x = tf.where(counted[:, None], logits, tf.zeros_like(logits))
    if softcap:
        x = softcap * tf.tanh(x / softcap)
    z, lse = below_largest(x)
    own = tf.range(classes) == index[:, None]
    whole = tf.stop_gradient(tf.reduce_max(x, axis=1)) + lse[:, 0]
    loss = tf.reduce_sum(tf.where(own, lse - z, tf.zeros_like(z)), axis=1) + z_weight * whole * whole
    zero = tf.zeros_like(loss)
    loss = tf.where(counted, tf.where(known, loss, zero + float("nan")), zero)
    if reduction != "mean":
        return reduce(loss, reduction, dtype)
    return tf.cast(tf.reduce_sum(loss) / tf.reduce_sum(tf.cast(counted, loss.dtype)), dtype)
