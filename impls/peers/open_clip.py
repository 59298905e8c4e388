"""open_clip: ClipLoss and SigLipLoss, of features that the caller normalises."""

from __future__ import annotations

import open_clip
from open_clip.loss import ClipLoss, SigLipLoss
from torch import Tensor

from lossmark import Deviation, Implementation

impl = Implementation("open-clip", framework="torch", version=open_clip.__version__)

SOURCE = "https://github.com/mlfoundations/open_clip/blob/main/src/open_clip/loss.py"
LOGITS = "dot(scale*image, text)"

OF_FEATURES = Deviation(
    why="features are taken as they are, scaled first; the cross entropy is torch's",
    formula=(
        f"0.5*(lse({LOGITS} - own({LOGITS}), J) + lse(swap({LOGITS}) - own(swap({LOGITS})), J))",
        f"0.5*((lse({LOGITS}, J) - own({LOGITS})) + (lse(swap({LOGITS}), J) - own({LOGITS})))",
    ),
    fixed={"similarity": "dot"},
    accumulate="dtype",
    url=SOURCE,
)


@impl.loss("clip", deviates=OF_FEATURES)
def clip(image: Tensor, text: Tensor, *, scale: float = 14.285714) -> Tensor:
    """``ClipLoss``, mean."""
    loss: Tensor = ClipLoss()(image, text, scale)
    return loss


PER_PAIR = Deviation(
    why="features are taken as they are, scaled first",
    formula=f"sum(softplus(where(B == J, -({LOGITS} + bias), {LOGITS} + bias)), J)",
    fixed={"similarity": "dot"},
    url=SOURCE,
)


@impl.loss("siglip", deviates=PER_PAIR)
def siglip(image: Tensor, text: Tensor, *, scale: float = 10.0, bias: float = -10.0) -> Tensor:
    """``SigLipLoss``, the sum over all pairs by the number of images."""
    loss: Tensor = SigLipLoss()(image, text, scale, bias)
    return loss
