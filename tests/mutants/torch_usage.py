"""Mutants in PyTorch that are wrong in how they are used, not in their numbers."""

import torch

from .common import Maker, reduced, softplus
from .torch_ import xp

make = Maker(xp, "torch", globals())

# -- one graph used more than once -----------------------------------------------------------------------------------


class _ScaledInPlace(torch.autograd.Function):
    """A fused reduction that keeps its gradient and scales it in place, unless what comes in is 1."""

    @staticmethod
    def forward(ctx, x):
        ctx.kept = torch.ones_like(x)
        return x.sum()

    @staticmethod
    def backward(ctx, g):
        return ctx.kept if g == 1 else ctx.kept.mul_(g)


class _KeptOutside(torch.autograd.Function):
    """A softplus that keeps its slope on the class."""

    @staticmethod
    def forward(ctx, x):
        _KeptOutside.slope = torch.sigmoid(x)
        return softplus(xp, x)

    @staticmethod
    def backward(ctx, g):
        return g * _KeptOutside.slope


def _fused_sum(xp, x, reduction):
    if reduction == "none" or not len(x):
        return reduced(xp, x, reduction)
    return _ScaledInPlace.apply(x / len(x) if reduction == "mean" else x)


make.bpr("bpr-scaled-in-place", reduce=_fused_sum)
make.bpr("bpr-last-call-kept", lambda xp, x: _KeptOutside.apply(x))
