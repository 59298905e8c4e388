"""RecBole 1.2.1, ``recbole.model.loss.BPRLoss`` as coded; its requirements do not go with today's NumPy."""

from __future__ import annotations

import torch
from torch import Tensor

from lossmark import Deviation, Implementation

impl = Implementation("recbole", framework="torch", version="1.2.1")

GAMMA = 1e-10
GUARDED = Deviation(
    why="a number is added to the sigmoid before its logarithm is taken: the loss ends at 23.03, its gradient at 0",
    formula=f"-log({GAMMA} + sigmoid(s_pos - s_neg))",
    url="https://recbole.io/docs/recbole/recbole.model.loss.html",
)


@impl.loss("bpr", deviates=GUARDED)
def bpr(u: Tensor, d_pos: Tensor, d_neg: Tensor) -> Tensor:
    """-log(1e-10 + σ(s⁺ - s⁻)), mean; saturates at 23.03, where the gradient vanishes."""
    pos_score, neg_score = torch.mul(u, d_pos).sum(dim=1), torch.mul(u, d_neg).sum(dim=1)
    return -torch.log(GAMMA + torch.sigmoid(pos_score - neg_score)).mean()
