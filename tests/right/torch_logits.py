"""Right but different losses of logits, in PyTorch."""

import torch
from torch.nn import functional

from ..mutants.common import Maker, cross_entropy, reduced_wide, softplus
from ..mutants.torch_ import xp

make = Maker(xp, "torch", globals())


class _Fused(torch.autograd.Function):
    """One logarithm for both terms; its slope is not that of |x| and max(x, 0), which have kinks."""

    @staticmethod
    def forward(ctx, x, y, p):
        ctx.save_for_backward(x, y)
        ctx.p = p
        both = torch.log1p(torch.exp(-x.abs()))
        return (1 - y) * (x.clamp(min=0) + both) + p * y * ((-x).clamp(min=0) + both)

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * ((1 - y) * torch.sigmoid(x) - ctx.p * y * torch.sigmoid(-x)), None, None


def _by_sign(x):
    """log(1 + exp(x)) by the sign of x; each branch is kept from the numbers of the other."""
    small, large = torch.where(x > 0, 0.0, x), torch.where(x > 0, x, 0.0)
    return torch.where(x > 0, x + torch.log1p(torch.exp(-large)), torch.log1p(torch.exp(small)))


def _chunked(xp, x, y, p):
    pairs = zip(x.chunk(3), y.chunk(3), strict=True)
    return torch.cat([cross_entropy(xp, some, weights, p) for some, weights in pairs])


def _selected(xp, x, y, p):
    """One softplus for hard targets, two where one of them is soft."""
    if ((y > 0) & (y < 1) | y.isnan()).any():
        return cross_entropy(xp, x, y, p)
    return torch.where(y == 1, p * softplus(xp, -x), softplus(xp, x))


make.bce("bce-log-sigmoid", lambda xp, x, y, p: (
    -(1 - y) * functional.logsigmoid(-x) - p * y * functional.logsigmoid(x)))  # fmt: skip
make.bce("bce-fused", lambda xp, x, y, p: _Fused.apply(x, y, p))
make.bce("bce-by-sign", lambda xp, x, y, p: (1 - y) * _by_sign(x) + p * y * _by_sign(-x))
make.bce("bce-double-inside", lambda xp, x, y, p: cross_entropy(xp, x.double(), y.double(), p))
make.bce("bce-chunked", _chunked)
make.bce("bce-selected", _selected)
make.bce("bce-weight-last", lambda xp, x, y, p: (1 - y) * softplus(xp, x) + p * (y * softplus(xp, -x)))
make.bce("bce-batch-reversed", lambda xp, x, y, p: cross_entropy(xp, x.flip(0), y.flip(0), p).flip(0))
make.bce("bce-native", reduce=reduced_wide, wide=False)
