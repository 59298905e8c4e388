"""Right but different multi-class margin losses in PyTorch."""

import torch
from torch.nn import functional

from ..mutants.common import reduced_wide
from ..mutants.margins import Margins, behind, mean_of_hinges

make = Margins(globals())

make.margin("mm-differences", lambda x, y, m: _hinges(m + (x - x.gather(1, y[:, None])), y))
make.margin("mm-masked-sum", lambda x, y, m: _hinges(
    m - x.masked_fill(functional.one_hot(y, x.shape[1]) == 0, 0.0).sum(1, keepdim=True) + x, y))  # fmt: skip
make.margin("mm-clamp", lambda x, y, m: behind(x, y, m).clamp(min=0).sum(1) / x.shape[1])
make.margin("mm-product-with-share", lambda x, y, m: (torch.relu(behind(x, y, m)) * (1 / x.shape[1])).sum(1))
make.margin("mm-own-taken-away", lambda x, y, m: (
    torch.relu(m - x.gather(1, y[:, None]) + x).scatter(1, y[:, None], 0.0).mean(1)))  # fmt: skip
make.margin("mm-in-blocks", lambda x, y, m: sum(
    torch.relu(block).sum(1) for block in behind(x, y, m).split(100, 1)) / x.shape[1])  # fmt: skip
make.margin("mm-double-inside", lambda x, y, m: mean_of_hinges(x.double(), y, m))
make.margin("mm-batch-reversed", lambda x, y, m: mean_of_hinges(x.flip(0), y.flip(0), m).flip(0))
make.margin("mm-native", wide=False, reduce=reduced_wide)


def _hinges(terms, y):
    return torch.where(torch.arange(terms.shape[1]) == y[:, None], 0, torch.relu(terms)).mean(1)


class _HalfAtKink(torch.autograd.Function):
    """The gradient written out, with a slope of one half at each kink."""

    @staticmethod
    def forward(ctx, x, y, margin):
        terms = behind(x, y, margin)
        ctx.save_for_backward(terms, y)
        return torch.relu(terms).mean(1)

    @staticmethod
    def backward(ctx, g):
        terms, y = ctx.saved_tensors
        slopes = torch.heaviside(terms, torch.tensor(0.5, dtype=terms.dtype))
        slopes.scatter_(1, y[:, None], -slopes.sum(1, keepdim=True))
        return slopes / terms.shape[1] * g[:, None], None, None


make.margin("mm-half-at-kink", _HalfAtKink.apply)
