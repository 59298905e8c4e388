"""Mutants of losses of logits in PyTorch."""

import torch
from torch.nn import functional

from . import common
from .common import Maker, cross_entropy, softplus
from .torch_ import xp

make = Maker(xp, "torch", globals())
EPS = 1e-7

# -- formulas that are equal, but for their digits -------------------------------------------------------------------

make.bce("bce-textbook", lambda xp, x, y, p: (1 - y) * x + (1 + (p - 1) * y) * softplus(xp, -x))
make.bce("bce-cross-entropy", lambda xp, x, y, p: functional.binary_cross_entropy_with_logits(
    x, y, pos_weight=torch.tensor(p, dtype=x.dtype), reduction="none"))  # fmt: skip
make.bce("bce-of-sigmoid", lambda xp, x, y, p: _of_probability(torch.sigmoid(x), y, p))
make.bce("bce-log-sigmoid-eps", lambda xp, x, y, p: (
    -(1 - y) * torch.log(1 - torch.sigmoid(x) + EPS) - p * y * torch.log(torch.sigmoid(x) + EPS)))  # fmt: skip
make.bce("bce-probability-clamped", lambda xp, x, y, p: _of_probability(torch.sigmoid(x).clamp(EPS, 1 - EPS), y, p))
make.bce("bce-linear-at-20", lambda xp, x, y, p: (1 - y) * functional.softplus(x) + p * y * functional.softplus(-x))
make.bce("bce-naive-exp", lambda xp, x, y, p: (1 - y) * torch.log(1 + torch.exp(x)) + p * y * torch.log(
    1 + torch.exp(-x)))  # fmt: skip
make.bce("bce-log-for-log1p", lambda xp, x, y, p: (1 - y) * _by_log(x) + p * y * _by_log(-x))
make.bce("bce-two-classes", lambda xp, x, y, p: -(
    torch.log_softmax(torch.stack([torch.zeros_like(x), x]), 0) * torch.stack([1 - y, p * y])).sum(0))  # fmt: skip
make.bce("bce-lerp", lambda xp, x, y, p: torch.lerp(softplus(xp, x), p * softplus(xp, -x), y))
make.bce("bce-shared-log1p", lambda xp, x, y, p: (
    (1 - y) * torch.relu(x) + p * y * torch.relu(-x) + (1 - y + p * y) * torch.log1p(torch.exp(-x.abs()))))  # fmt: skip
make.bce("bce-logits-in-bfloat16", lambda xp, x, y, p: cross_entropy(xp, x.bfloat16().to(x.dtype), y, p))


def _of_probability(q, y, p):
    return -(1 - y) * torch.log(1 - q) - p * y * torch.log(q)


def _by_log(x):
    return torch.relu(x) + torch.log(1 + torch.exp(-x.abs()))


# -- other formulas ----------------------------------------------------------------------------------------------------

make.bce("bce-logits-clamped", lambda xp, x, y, p: cross_entropy(xp, x.clamp(-15, 15), y, p))
make.bce("bce-weight-on-both", lambda xp, x, y, p: p * cross_entropy(xp, x, y, 1))
make.bce("bce-weight-ignored", lambda xp, x, y, p: cross_entropy(xp, x, y, 1))
make.bce("bce-swapped", lambda xp, x, y, p: cross_entropy(xp, x, 1 - y, p))
make.bce("bce-arguments-exchanged", lambda xp, x, y, p: cross_entropy(xp, y, x, p))
make.bce("bce-hard-target", lambda xp, x, y, p: cross_entropy(xp, x, torch.where(
    y.isnan(), y, (y > 0.5).to(y.dtype)), p))  # fmt: skip
make.bce("bce-sign", lambda xp, x, y, p: cross_entropy(xp, -x, y, p))
make.bce("bce-sigmoid-twice", lambda xp, x, y, p: cross_entropy(xp, torch.sigmoid(x), y, p))
make.bce("bce-nan-target-hidden", lambda xp, x, y, p: cross_entropy(xp, x, torch.nan_to_num(y), p))
make.bce("bce-target-broadcast", label=lambda xp, y, x: y.to(x.dtype))


# -- gradients beside values that are right ----------------------------------------------------------------------------


class _Slope(torch.autograd.Function):
    """The cross-entropy, whose backward multiplies by what ``slope(x, y, p)`` gives."""

    @staticmethod
    def forward(ctx, x, y, p, slope):
        ctx.save_for_backward(x, y)
        ctx.p, ctx.slope = p, slope
        return cross_entropy(xp, x, y, p)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.slope(*ctx.saved_tensors, ctx.p), None, None, None


def _sloped(name, slope):
    make.bce(name, lambda xp, x, y, p: _Slope.apply(x, y, p, slope))


_sloped("bce-slope-cancels", lambda x, y, p: (1 - y) * torch.sigmoid(x) + p * y * (torch.sigmoid(x) - 1))
_sloped("bce-weight-not-in-slope", lambda x, y, p: (1 - y) * torch.sigmoid(x) - y * torch.sigmoid(-x))

# -- means over another count ------------------------------------------------------------------------------------------


def _mean_of_weights(logits, target, *, pos_weight=1.0, reduction="mean"):
    """The mean as ``cross_entropy`` with class weights has it: over the weights, not over the examples."""
    common.check(logits)
    common.check_label(target, logits)
    x = xp.wide(logits)
    y = target.to(x.dtype)
    loss = cross_entropy(xp, x, y, pos_weight)
    if reduction == "mean":
        return (loss.sum() / (1 - y + pos_weight * y).sum()).to(logits.dtype)
    return common.reduced(xp, loss, reduction).to(logits.dtype)


make.bind("bce-mean-of-weights", "bce_with_logits", _mean_of_weights)
make.bce("bce-mean-of-nonzero", reduce=common.mean_of_nonzero)
make.bce("bce-sum-for-mean", reduce=common.total_for_mean)
