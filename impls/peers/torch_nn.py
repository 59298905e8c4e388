"""torch.nn.functional: ``margin_ranking_loss`` over the scores of rows, ``logsigmoid``, ``cosine_similarity``."""

from __future__ import annotations

import torch
from torch import Tensor

from lossmark import Deviation, Implementation

impl = Implementation("torch-nn", framework="torch", version=torch.__version__)


@impl.loss
def pairwise_hinge(u: Tensor, d_pos: Tensor, d_neg: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """clamp_min(-(s⁺ - s⁻) + margin, 0); gradient 1 at the kink."""
    s_pos, s_neg = (u * d_pos).sum(-1), (u * d_neg).sum(-1)
    target = torch.ones_like(s_pos)
    return torch.nn.functional.margin_ranking_loss(s_pos, s_neg, target, margin=margin, reduction=reduction)


PER_NORM = Deviation(
    why="cosine_similarity guards each norm, not their product",
    guard={"per norm": 1e-8},
    url="https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cosine_similarity.html",
)


@impl.loss("bpr", deviates=PER_NORM)
def bpr(u: Tensor, d_pos: Tensor, d_neg: Tensor, *, similarity: str = "dot", reduction: str = "mean") -> Tensor:
    """-log σ(s⁺ - s⁻)."""
    scores = torch.nn.functional.cosine_similarity if similarity == "cosine" else lambda x, y: (x * y).sum(-1)
    loss = -torch.nn.functional.logsigmoid(scores(u, d_pos) - scores(u, d_neg))
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction]
