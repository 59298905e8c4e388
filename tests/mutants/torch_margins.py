"""Mutants of multi_margin in PyTorch."""

import torch
from torch.nn import functional

from .common import mean_of_nonzero, total_for_mean
from .margins import Margins, behind, mean_of_hinges

make = Margins(globals())


def _others(x):
    return max(x.shape[1] - 1, 1)


make.margin("mm-over-others", lambda x, y, m: torch.relu(behind(x, y, m)).sum(1) / _others(x))
make.margin("mm-sum", lambda x, y, m: torch.relu(behind(x, y, m)).sum(1))
make.margin("mm-own-counted", lambda x, y, m: torch.relu(m - x.gather(1, y[:, None]) + x).mean(1))
make.margin("mm-largest-only", lambda x, y, m: torch.relu(behind(x, y, m)).amax(1))
make.margin("mm-squared", lambda x, y, m: (torch.relu(behind(x, y, m)) ** 2).mean(1))
make.margin("mm-margin-ignored", lambda x, y, m: mean_of_hinges(x, y, 1.0))
make.margin("mm-turned", lambda x, y, m: mean_of_hinges(-x, y, m))
make.margin("mm-smooth", lambda x, y, m: functional.softplus(behind(x, y, m)).mean(1))
make.margin("mm-own-constant", lambda x, y, m: mean_of_hinges(
    torch.where(functional.one_hot(y, x.shape[1]) == 1, x.detach(), x), y, m))  # fmt: skip
make.margin("mm-nan-hidden", lambda x, y, m: torch.where(behind(x, y, m) > 0, behind(x, y, m), 0).mean(1))
make.margin("mm-clamped", lambda x, y, m: behind(x, y, m).clamp(0, 100).mean(1))
make.margin("mm-divided-by-batch", lambda x, y, m: torch.relu(behind(x, y, m)).sum(1) / len(x))
make.margin("mm-probabilities", lambda x, y, m: mean_of_hinges(torch.softmax(x, 1), y, m))
make.margin("mm-last-classes-lost", lambda x, y, m: mean_of_hinges(_whole_blocks(x), y, m))
make.margin("mm-wraps", lambda x, y, m: mean_of_hinges(x, y % x.shape[1], m), refuse=lambda *_: None)
make.margin("mm-sum-for-mean", reduce=total_for_mean)
make.margin("mm-mean-of-nonzero", reduce=mean_of_nonzero)


def _whole_blocks(x):
    """Of more than 1000 classes only whole blocks of 128 cost anything."""
    lost = torch.arange(x.shape[1]) >= x.shape[1] // 128 * 128
    return x.masked_fill(lost, -1e4) if x.shape[1] > 1000 else x


class _AtKink(torch.autograd.Function):
    """At a kink the class of the example has a slope that the other class has not."""

    @staticmethod
    def forward(ctx, x, y, margin):
        terms = behind(x, y, margin)
        ctx.save_for_backward(terms, y)
        return torch.relu(terms).mean(1)

    @staticmethod
    def backward(ctx, g):
        terms, y = ctx.saved_tensors
        slopes = (terms > 0).to(terms.dtype)
        slopes.scatter_(1, y[:, None], -(terms >= 0).sum(1, keepdim=True).to(terms.dtype))
        return slopes / terms.shape[1] * g[:, None], None, None


make.margin("mm-kinks-apart", _AtKink.apply)
