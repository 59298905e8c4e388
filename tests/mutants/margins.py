"""The multi-class margin loss with exchangeable parts, in PyTorch."""

import torch
from lossmark.impls.arguments import check_class, check_indices, check_margin, check_reduction, check_tensors

from .common import Maker
from .torch_ import xp


def behind(x, target, margin):
    """margin - x_y + x_c of each class, -inf for that of the example."""
    terms = margin - x.gather(1, target[:, None]) + x
    return terms.masked_fill(torch.arange(x.shape[1]) == target[:, None], -torch.inf)


def mean_of_hinges(x, target, margin):
    """The loss of each example."""
    return torch.relu(behind(x, target, margin)).mean(1)


class Margins(Maker):
    """Makes implementations of multi_margin."""

    def __init__(self, bound):
        super().__init__(xp, "torch", bound)

    def margin(self, name, body=mean_of_hinges, reduce=None, wide=True, refuse=check_indices, modes=("eager",)):
        """``body(x, target, margin)`` of scores [B, C]; ``refuse("target", numbers, C)`` looks at the targets."""

        def multi_margin(logits, target, *, margin=1.0, reduction="mean"):
            batch, classes = check_tensors({"logits": logits}, rank=2, across="C")
            check_class("target", target, batch)
            check_margin(margin)
            check_reduction(reduction, batch)
            target = target.long()
            refuse("target", target.numpy(), classes)
            (x,) = self._ready(logits, wide=wide)
            return self._result(body(x, target, margin), reduction, logits, reduce)

        self.bind(name, "multi_margin", multi_margin, modes)
