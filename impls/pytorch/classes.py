"""The losses over classes in PyTorch.

Everything is taken relative to the largest logit, so that a common offset changes nothing. 16-bit inputs are computed
in float32: 8 bits cannot tell a probability from 1.
"""

from __future__ import annotations

import torch
from lossmark.impls.arguments import check_classes, check_reduction, check_tensors
from torch import Tensor

from .common import checked_class, checked_label, reduce, wide


def below_largest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The logits [B, C] minus the largest of their row, and the log-sum-exp [B, 1] of these."""
    z = logits - logits.detach().amax(dim=1, keepdim=True)
    return z, torch.logsumexp(z, dim=1, keepdim=True)


def soft_cross_entropy(logits: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Σ_c y_c·(log Σ_j exp(x_j) - x_c), through the differences to the largest logit.

    ``logits``: [B, C] (float64, float32, bfloat16, float16); ``target``: weights of the classes [B, C] of any dtype,
    values in [0, 1], such as probabilities. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of
    the logits. Raises TypeError for another dtype; ValueError for another shape, an unknown reduction, the mean of an
    empty batch, and, on a CPU and not under compilation, targets outside [0, 1].
    Source: Szegedy et al. 2016, arXiv:1512.00567. Page: docs/reference/losses/soft_cross_entropy.
    """
    shape = check_tensors({"logits": logits}, rank=2, across="C")
    check_reduction(reduction, shape[0])
    dtype = logits.dtype
    (logits,) = wide(logits)
    target = checked_label("target", target, shape, logits.dtype, soft=True)
    z, lse = below_largest(logits)
    # a class of weight 0 adds 0 although its logit may be -inf
    loss = (target * (lse - torch.where(target == 0, 0, z))).sum(dim=1)
    return reduce(loss, reduction, dtype)


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
    of an empty batch, and a target that is no class (on a CPU, not under compilation; else the loss is NaN).
    Source: Goodfellow, Bengio, Courville 2016, Deep Learning, 6.2.2. Page: docs/reference/losses/cross_entropy.
    """
    shape = check_tensors({"logits": logits}, rank=2, across="C")
    check_classes(target, weight, logits, ignore_index, label_smoothing)
    check_reduction(reduction, shape[0])
    dtype = logits.dtype
    (logits,) = wide(logits)
    index, counted, known = checked_class(target, logits.shape[1], ignore_index)
    w = logits.new_ones(logits.shape[1]) if weight is None else weight.to(logits.dtype)
    z, lse = below_largest(torch.where(counted[:, None], logits, 0))
    each = lse - z
    w_y = w[index]
    loss = w_y * each.gather(1, index[:, None])[:, 0]
    if label_smoothing:
        loss = (1 - label_smoothing) * loss + label_smoothing * (w * each).mean(dim=1)
    loss = torch.where(counted, torch.where(known, loss, torch.nan), 0)
    return reduce(loss, reduction, dtype, torch.where(counted, w_y, 0).sum())


def kl_div(log_q: Tensor, p: Tensor, *, reduction: str = "mean") -> Tensor:
    """Σ_c p_c·(log p_c - log q_c), where a class of p = 0 costs nothing.

    ``log_q``: log-probabilities [B, C] (float64, float32, bfloat16, float16); ``p``: probabilities [B, C] of any dtype,
    values in [0, 1]. A class of p = 0 and log q = -inf costs nothing. Returns [B] under ``none``, [] under ``sum`` and
    ``mean``, which is over the examples, in the dtype of log_q. Raises TypeError for another dtype; ValueError for
    another shape, an unknown reduction, the mean of an empty batch, and, on a CPU and not under compilation, p
    outside [0, 1].
    Source: Kullback, Leibler 1951. Page: docs/reference/losses/kl_div.
    """
    shape = check_tensors({"log_q": log_q}, rank=2, across="C")
    check_reduction(reduction, shape[0])
    dtype = log_q.dtype
    (log_q,) = wide(log_q)
    p = checked_label("p", p, shape, log_q.dtype, soft=True)
    log_q = torch.where((p == 0) & (log_q == -torch.inf), 0, log_q)
    return reduce((torch.xlogy(p, p) - p * log_q).sum(dim=1), reduction, dtype)
