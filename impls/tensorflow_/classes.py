"""The losses over classes in TensorFlow.

Everything is taken relative to the largest logit, so that a common offset changes nothing. 16-bit inputs are computed
in float32: 8 bits cannot tell a probability from 1.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from lossmark.impls.arguments import check_classes, check_reduction, check_tensors
from tensorflow import Tensor

from .common import as_written, checked_class, checked_label, reduce, wide


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
    empty batch, and, eagerly on a CPU, targets outside [0, 1].
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


@as_written
def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """The cross entropy of softmax(x) and the class y, with weights of the classes and label smoothing ε.

    (1-ε)·w_y·(L - z_y) + ε·mean_c(w_c·(L - z_c)), where z are the logits minus the largest and L = log Σ exp(z).
    ``logits``: [B, C] (float64, float32, bfloat16, float16); ``target``: the number of a class [B], of an integer
    dtype; ``weight``: [C] in the dtype of the logits, or None for ones. Rows whose target is ``ignore_index`` cost
    nothing and do not count; a mean divides by the weights Σ w_y of those that do, and is NaN where there is none.
    Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the logits. Raises TypeError for another
    dtype or what is no number; ValueError for another shape, a smoothing outside [0, 1], an unknown reduction, the mean
    of an empty batch, and a target that is no class (eagerly on a CPU; else the loss is NaN).
    Source: Goodfellow, Bengio, Courville 2016, Deep Learning, 6.2.2. Page: docs/reference/losses/cross_entropy.
    """
    shape = check_tensors({"logits": logits}, rank=2, across="C")
    check_classes(target, weight, logits, ignore_index, label_smoothing)
    check_reduction(reduction, shape[0])
    dtype = logits.dtype
    (logits,) = wide(logits)
    classes = tf.shape(logits, out_type=tf.int64)[1]
    index, counted, known = checked_class(target, classes, ignore_index)
    w = tf.ones([classes], logits.dtype) if weight is None else tf.cast(weight, logits.dtype)
    z, lse = below_largest(tf.where(counted[:, None], logits, tf.zeros_like(logits)))
    each = lse - z
    w_y = tf.gather(w, index)
    own = tf.range(classes) == index[:, None]  # the derivative of a gather takes twice as long
    loss = w_y * tf.reduce_sum(tf.where(own, each, tf.zeros_like(each)), axis=1)
    if label_smoothing:
        epsilon = tf.constant(label_smoothing, logits.dtype)
        loss = (1 - epsilon) * loss + epsilon * tf.reduce_mean(w * each, axis=1)
    zero = tf.zeros_like(loss)
    loss = tf.where(counted, tf.where(known, loss, zero + float("nan")), zero)
    if reduction != "mean":
        return reduce(loss, reduction, dtype)
    return tf.cast(tf.reduce_sum(loss) / tf.reduce_sum(tf.where(counted, w_y, zero)), dtype)


@as_written
def kl_div(log_q: Tensor, p: Tensor, *, reduction: str = "mean") -> Tensor:
    """Σ_c p_c·(log p_c - log q_c), where a class of p = 0 costs nothing.

    ``log_q``: log-probabilities [B, C] (float64, float32, bfloat16, float16); ``p``: probabilities [B, C] of any dtype,
    values in [0, 1]. A class of p = 0 and log q = -inf costs nothing. Returns [B] under ``none``, [] under ``sum`` and
    ``mean``, which is over the examples, in the dtype of log_q. Raises TypeError for another dtype; ValueError for
    another shape, an unknown reduction, the mean of an empty batch, and, eagerly on a CPU, p outside [0, 1].
    Source: Kullback, Leibler 1951. Page: docs/reference/losses/kl_div.
    """
    shape = check_tensors({"log_q": log_q}, rank=2, across="C")
    check_reduction(reduction, shape[0])
    dtype = log_q.dtype
    (log_q,) = wide(log_q)
    p = checked_label("p", p, shape, log_q.dtype, soft=True)
    log_q = tf.where((p == 0) & (log_q == -float("inf")), tf.zeros_like(log_q), log_q)
    return reduce(tf.reduce_sum(tf.math.xlogy(p, p) - p * log_q, axis=1), reduction, dtype)
