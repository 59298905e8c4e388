"""pytorch-metric-learning: NTXentLoss of two views, and SupConLoss.

It has no contrastive loss and no triplet loss of the specs: its first is not squared, of normalised embeddings, and a
mean over non-zero terms only; its second is clamped.
"""

from __future__ import annotations

import pytorch_metric_learning
import torch
from pytorch_metric_learning.distances import BaseDistance, CosineSimilarity, DotProductSimilarity
from pytorch_metric_learning.losses import NTXentLoss, SupConLoss
from torch import Tensor

from lossmark import Deviation, Implementation

impl = Implementation("pytorch-metric-learning", framework="torch", version=pytorch_metric_learning.__version__)

PAGE = "https://kevinmusgrave.github.io/pytorch-metric-learning/losses/"


def _distance(similarity: str) -> BaseDistance:
    return CosineSimilarity() if similarity == "cosine" else DotProductSimilarity(normalize_embeddings=False)


THROUGH_EXP = Deviation(
    why="the logarithm of a quotient of exponentials, which keeps no digits of a small loss; each norm has its guard",
    formula="-0.5*log(exp(-first)) - 0.5*log(exp(-second))",
    guard={"per norm": 1e-12},
    accumulate="dtype",
    url=f"{PAGE}#ntxentloss",
)


@impl.loss("nt_xent", deviates=THROUGH_EXP)
def nt_xent(z1: Tensor, z2: Tensor, *, temperature: float = 0.5, similarity: str = "cosine") -> Tensor:
    """``NTXentLoss`` of all views, of which both of an example are one class; its mean is over all views."""
    label = torch.arange(len(z1), device=z1.device).repeat(2)
    loss: Tensor = NTXentLoss(temperature, distance=_distance(similarity))(torch.cat([z1, z2]), label)
    return loss


OF_THE_PAIRED = Deviation(
    why="the mean is over the examples that cost something; each norm has its guard",
    formula=(
        "where(paired, lse(d, J, counted) - mean, 0)",
        "where(paired, sum(where(positive, lse(s, J, counted) - s, 0), J)/n, 0)",
    ),
    mean="sum(loss, B)/sum(where(paired, 1, 0), B)",
    guard={"per norm": 1e-12},
    accumulate="dtype",
    url=f"{PAGE}#supconloss",
)


@impl.loss("supcon", deviates=OF_THE_PAIRED)
def supcon(z: Tensor, label: Tensor, *, temperature: float = 0.1, similarity: str = "dot") -> Tensor:
    """``SupConLoss``, with its own mean."""
    loss: Tensor = SupConLoss(temperature, distance=_distance(similarity))(z, label)
    return loss
