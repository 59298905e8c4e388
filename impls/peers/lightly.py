"""lightly: NTXentLoss without a memory bank."""

from __future__ import annotations

import lightly
from lightly.loss import NTXentLoss
from torch import Tensor

from lossmark import Deviation, Implementation

impl = Implementation("lightly", framework="torch", version=lightly.__version__)

OF_UNIT_VECTORS = Deviation(
    why="the cross entropy is torch's; each norm has its guard",
    formula=(
        "0.5*first + 0.5*second",
        "0.5*(joint_lse(s12, only(s11, other), J) - own(s12)) + 0.5*(joint_lse(s21, only(s22, other), J) - own(s12))",
    ),
    guard={"per norm": 1e-12},
    accumulate="dtype",
    url="https://docs.lightly.ai/self-supervised-learning/lightly.loss.html",
)


@impl.loss("nt_xent", deviates=OF_UNIT_VECTORS)
def nt_xent(z1: Tensor, z2: Tensor, *, temperature: float = 0.5) -> Tensor:
    """``NTXentLoss``, mean over all views."""
    loss: Tensor = NTXentLoss(temperature)(z1, z2)
    return loss
