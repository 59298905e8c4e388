"""The losses over classes in NumPy, with their gradients written out.

Everything is taken relative to the largest logit, so that a common offset changes nothing. 16-bit inputs are computed
in float32: 8 bits cannot tell a probability from 1.
"""

from __future__ import annotations

import numpy as np
from lossmark.impls.arguments import check_classes, check_reduction, check_tensors

from .common import Array, checked_class, checked_label, reduce, wide
from .common import weight as cotangent


def below_largest(logits: Array) -> tuple[Array, Array]:
    """The logits [B, C] minus the largest of their row, and the log-sum-exp [B, 1] of these."""
    z = logits - np.max(logits, axis=1, keepdims=True)
    return z, np.log(np.sum(np.exp(z), axis=1, keepdims=True))


def soft_cross_entropy(logits: Array, target: Array, *, reduction: str = "mean") -> Array:
    """Σ_c y_c·(log Σ_j exp(x_j) - x_c), through the differences to the largest logit.

    ``logits``: [B, C] (float64, float32, bfloat16, float16); ``target``: weights of the classes [B, C] of any dtype,
    values in [0, 1], such as probabilities. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of
    the logits. Raises TypeError for another dtype; ValueError for another shape, an unknown reduction, the mean of an
    empty batch, and targets outside [0, 1].
    Source: Szegedy et al. 2016, arXiv:1512.00567. Page: docs/reference/losses/soft_cross_entropy.
    """
    shape = check_tensors({"logits": logits}, rank=2, across="C")
    check_reduction(reduction, shape[0])
    dtype = logits.dtype
    (logits,) = wide(logits)
    target = checked_label("target", target, shape, logits.dtype, soft=True)
    z, lse = below_largest(logits)
    # a class of weight 0 adds 0 although its logit may be -inf
    return reduce(np.sum(target * (lse - np.where(target == 0, 0, z)), axis=1), reduction, dtype)


def soft_cross_entropy_gradient(logits: Array, target: Array, *, reduction: str = "mean") -> dict[str, Array]:
    """The gradient of :func:`soft_cross_entropy` by the logits: softmax(x)·Σ y - y."""
    shape = check_tensors({"logits": logits}, rank=2, across="C")
    check_reduction(reduction, shape[0])
    dtype = logits.dtype
    (logits,) = wide(logits)
    target = checked_label("target", target, shape, logits.dtype, soft=True)
    z, lse = below_largest(logits)
    slope = np.exp(z - lse) * np.sum(target, axis=1, keepdims=True) - target
    return {"logits": (cotangent(len(logits), reduction, logits.dtype) * slope).astype(dtype)}


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
    of an empty batch, and a target that is no class.
    Source: Goodfellow, Bengio, Courville 2016, Deep Learning, 6.2.2. Page: docs/reference/losses/cross_entropy.
    """
    shape = check_tensors({"logits": logits}, rank=2, across="C")
    check_classes(target, weight, logits, ignore_index, label_smoothing)
    check_reduction(reduction, shape[0])
    dtype = logits.dtype
    (logits,) = wide(logits)
    index, counted = checked_class(target, logits.shape[1], ignore_index)
    w = np.ones(logits.shape[1], logits.dtype) if weight is None else weight.astype(logits.dtype)
    z, lse = below_largest(np.where(counted[:, None], logits, 0))
    each = lse - z
    loss = w[index] * np.take_along_axis(each, index[:, None], axis=1)[:, 0]
    if label_smoothing:
        epsilon = logits.dtype.type(label_smoothing)
        loss = (1 - epsilon) * loss + epsilon * np.mean(w * each, axis=1)
    loss = np.where(counted, loss, 0)
    if reduction != "mean":
        return reduce(loss, reduction, dtype)
    with np.errstate(invalid="ignore"):  # nothing counts: 0/0
        return np.asarray(np.sum(loss) / np.sum(w[index] * counted)).astype(dtype)


def cross_entropy_gradient(
    logits: Array,
    target: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> dict[str, Array]:
    """The gradient of :func:`cross_entropy` by the logits: (1-ε)·w_y·(p - δ_y) + ε/C·(p·Σ w - w), p = softmax(x)."""
    batch, classes = check_tensors({"logits": logits}, rank=2, across="C")
    check_classes(target, weight, logits, ignore_index, label_smoothing)
    check_reduction(reduction, batch)
    dtype = logits.dtype
    (logits,) = wide(logits)
    index, counted = checked_class(target, classes, ignore_index)
    w = np.ones(classes, logits.dtype) if weight is None else weight.astype(logits.dtype)
    z, lse = below_largest(np.where(counted[:, None], logits, 0))
    p = np.exp(z - lse)
    slope = w[index][:, None] * (p - (np.arange(classes) == index[:, None]))
    if label_smoothing:
        epsilon = logits.dtype.type(label_smoothing)
        slope = (1 - epsilon) * slope + epsilon * ((p * np.sum(w) - w) / classes)
    g = counted.astype(logits.dtype)
    if reduction == "mean":
        with np.errstate(invalid="ignore", divide="ignore"):  # nothing counts
            g = g / np.sum(w[index] * counted)
    return {"logits": (g[:, None] * slope).astype(dtype)}


def kl_div(log_q: Array, p: Array, *, reduction: str = "mean") -> Array:
    """Σ_c p_c·(log p_c - log q_c), where a class of p = 0 costs nothing.

    ``log_q``: log-probabilities [B, C] (float64, float32, bfloat16, float16); ``p``: probabilities [B, C] of any dtype,
    values in [0, 1]. A class of p = 0 and log q = -inf costs nothing. Returns [B] under ``none``, [] under ``sum`` and
    ``mean``, which is over the examples, in the dtype of log_q. Raises TypeError for another dtype; ValueError for
    another shape, an unknown reduction, the mean of an empty batch, and p outside [0, 1].
    Source: Kullback, Leibler 1951. Page: docs/reference/losses/kl_div.
    """
    shape = check_tensors({"log_q": log_q}, rank=2, across="C")
    check_reduction(reduction, shape[0])
    dtype = log_q.dtype
    (log_q,) = wide(log_q)
    p = checked_label("p", p, shape, log_q.dtype, soft=True)
    log_q = np.where((p == 0) & (log_q == -np.inf), 0, log_q)
    entropy = p * np.log(np.where(p == 0, 1, p))
    return reduce(np.sum(entropy - p * log_q, axis=1), reduction, dtype)


def kl_div_gradient(log_q: Array, p: Array, *, reduction: str = "mean") -> dict[str, Array]:
    """The gradient of :func:`kl_div` by log_q: -p."""
    shape = check_tensors({"log_q": log_q}, rank=2, across="C")
    check_reduction(reduction, shape[0])
    dtype = log_q.dtype
    (log_q,) = wide(log_q)
    p = checked_label("p", p, shape, log_q.dtype, soft=True)
    return {"log_q": (-cotangent(len(log_q), reduction, log_q.dtype) * p).astype(dtype)}
