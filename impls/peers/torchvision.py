"""torchvision: its focal loss of logits."""

from __future__ import annotations

import torchvision
from lossmark.impls.peers.evaluated import FOCUS, SHARE
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from lossmark import Deviation, Implementation

impl = Implementation("torchvision", framework="torch", version=torchvision.__version__)

BY_SUBTRACTION = Deviation(
    why="1 - p_t is taken by subtraction, and the cross entropy is torch's: both lose the digits of a sure example",
    formula=(
        f"{SHARE}*(((1 - target)*logits + softplus(-logits))*{FOCUS})",
        f"{SHARE}*((softplus(logits) - target*logits)*{FOCUS})",
    ),
    url="https://docs.pytorch.org/vision/stable/generated/torchvision.ops.sigmoid_focal_loss.html",
)


@impl.loss("sigmoid_focal", deviates=BY_SUBTRACTION)
def sigmoid_focal(
    logits: Tensor, target: Tensor, *, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> Tensor:
    """``sigmoid_focal_loss``."""
    return sigmoid_focal_loss(logits, target.to(logits.dtype), alpha=alpha, gamma=gamma, reduction=reduction)
