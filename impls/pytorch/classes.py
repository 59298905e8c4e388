"""The losses over classes in PyTorch.

Everything is taken relative to the largest logit, so that a common offset changes nothing. 16-bit inputs are computed
in float32: 8 bits cannot tell a probability from 1.
"""

from __future__ import annotations

import torch
from lossmark.impls.arguments import check_reduction, check_tensors
from torch import Tensor

from .common import checked_label, reduce, wide


def below_largest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The logits [B, C] minus the largest of their row, and the log-sum-exp [B, 1] of these."""
    z = logits - logits.detach().amax(dim=1, keepdim=True)
    return z, torch.logsumexp(z, dim=1, keepdim=True)


def soft_cross_entropy(logits: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Σ_c y_c·(log Σ_j exp(x_j) - x_c), through the differences to the largest logit.

    ``logits``: [B, C] (float64, float32, bfloat16, float16); ``target``: weights of the classes [B, C] of any dtype,
    values in [0, 1], such as probabilities. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of
    the logits. Raises TypeError for another dtype; ValueError for another shape, an unknown reduction, the mean of an
    empty batch, and targets outside [0, 1]
    (on a CPU, not under compilation).
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
