"""Margins between classes in PyTorch. 16-bit inputs are computed in float32."""

from __future__ import annotations

import torch
from lossmark.impls.arguments import check_margins
from torch import Tensor

from .common import checked_class, reduce, wide


def multi_margin(logits: Tensor, target: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """The mean over the classes c of max(0, margin - x_y + x_c), where the class y itself costs nothing.

    The gradient at a kink is 0. ``logits``: scores [B, C] (float64, float32, bfloat16, float16); ``target``: the number
    of a class [B], of an integer dtype. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the
    logits. Raises TypeError for another dtype or a margin that is no number; ValueError for another shape, a margin
    that is negative or not finite, an unknown reduction, the mean of an empty batch, and a target that is no class (on
    a CPU, not under compilation; else the loss is NaN).
    Source: Weston, Watkins 1999. Page: docs/reference/losses/multi_margin.
    """
    check_margins(logits, target, margin, reduction)
    dtype = logits.dtype
    (logits,) = wide(logits)
    target, _, known = checked_class(target, logits.shape[1])
    index = target[:, None]
    others = torch.arange(logits.shape[1], device=logits.device) != index
    terms = torch.relu(margin - logits.gather(1, index) + logits)
    loss = torch.where(others, terms, 0).mean(dim=1)
    return reduce(torch.where(known, loss, torch.nan), reduction, dtype)
