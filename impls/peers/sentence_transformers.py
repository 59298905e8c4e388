"""sentence-transformers: MultipleNegativesRankingLoss of embeddings that are there already."""

from __future__ import annotations

import sentence_transformers
import torch
from sentence_transformers.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import cos_sim, dot_score
from torch import Tensor

from lossmark import Deviation, Implementation

impl = Implementation("sentence-transformers", framework="torch", version=sentence_transformers.__version__)

TIMES_SCALE = Deviation(
    why="similarities are multiplied by 1/temperature, their cross entropy is torch's, and each norm has its guard",
    formula=(
        "lse(sim(query, key)*(1/temperature) - own(sim(query, key)*(1/temperature)), J)",
        "lse(sim(query, key)*(1/temperature), J) - own(sim(query, key)*(1/temperature))",
    ),
    guard={"per norm": 1e-12},
    accumulate="dtype",
    url="https://sbert.net/docs/package_reference/sentence_transformer/losses.html#multiplenegativesrankingloss",
)


@impl.loss("info_nce", deviates=TIMES_SCALE)
def info_nce(query: Tensor, key: Tensor, *, temperature: float = 0.07, similarity: str = "cosine") -> Tensor:
    """``MultipleNegativesRankingLoss`` without further negatives, mean."""
    loss = MultipleNegativesRankingLoss(
        torch.nn.Identity(), scale=1 / temperature, similarity_fct=cos_sim if similarity == "cosine" else dot_score
    )
    return loss.compute_loss_from_embeddings([query, key], None)
