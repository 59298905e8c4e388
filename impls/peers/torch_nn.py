"""torch.nn.functional: ``margin_ranking_loss`` over the scores of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from lossmark import Implementation

impl = Implementation("torch-nn", framework="torch", version=torch.__version__)


@impl.loss
def pairwise_hinge(u: Tensor, d_pos: Tensor, d_neg: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """clamp_min(-(s⁺ - s⁻) + margin, 0); gradient 1 at the kink."""
    s_pos, s_neg = (u * d_pos).sum(-1), (u * d_neg).sum(-1)
    target = torch.ones_like(s_pos)
    return torch.nn.functional.margin_ranking_loss(s_pos, s_neg, target, margin=margin, reduction=reduction)
