"""Mutants in PyTorch of the losses over classes."""

import torch

from .common import Maker, entropy, reduced, reduced_always, reduced_wide, total_for_mean
from .torch_ import xp

make = Maker(xp, "torch", globals())

# -- the logarithm of the probability --------------------------------------------------------------------------------

make.soft("soft-narrow", wide=False, reduce=reduced_wide)
make.soft("soft-native", lambda xp, x, y: torch.nn.functional.cross_entropy(x, y, reduction="none"), wide=False,
          reduce=reduced_wide)  # fmt: skip
make.soft("soft-single-inside", lambda xp, x, y: entropy(xp, x.float(), y.float()))
make.soft("soft-eps-added", lambda xp, x, y: -(y * torch.log(torch.softmax(x, 1) + 1e-7)).sum(1))
make.soft("soft-clamped", lambda xp, x, y: -(y * torch.log(torch.softmax(x, 1).clamp(1e-7, 1 - 1e-7))).sum(1))
make.soft("soft-log-of-softmax", lambda xp, x, y: -(y * torch.log(torch.softmax(x, 1))).sum(1))
make.soft("soft-not-shifted", lambda xp, x, y: (y * (torch.log(torch.exp(x).sum(1, keepdim=True)) - x)).sum(1))
make.soft("soft-textbook", lambda xp, x, y: (y * (torch.logsumexp(x, 1, keepdim=True) - x)).sum(1))
make.soft("soft-largest-of-batch", lambda xp, x, y: _shifted(x, y, x.detach().amax()))
make.soft("soft-twice-softmax", lambda xp, x, y: entropy(xp, torch.softmax(x, 1), y))
make.soft("soft-over-batch", lambda xp, x, y: -(y * torch.log_softmax(x, 0)).sum(1))
make.soft("soft-nan-hidden", lambda xp, x, y: torch.nan_to_num(entropy(xp, x, y), posinf=torch.inf))


def _shifted(x, y, shift):
    z = x - shift
    return (y * (torch.log(torch.exp(z).sum(1, keepdim=True)) - z)).sum(1)


# -- the weights -----------------------------------------------------------------------------------------------------

make.soft("soft-lse-unweighted", lambda xp, x, y: torch.logsumexp(x, 1) - (y * x).sum(1))
make.soft("soft-target-normalised", lambda xp, x, y: entropy(xp, x, y / y.sum(1, keepdim=True)))
make.soft("soft-target-argmax", lambda xp, x, y: entropy(
    xp, x, torch.nn.functional.one_hot(y.argmax(1), y.shape[1]).to(y.dtype)))  # fmt: skip
make.soft("soft-swapped", lambda xp, x, y: entropy(xp, y, x))
make.soft("soft-above-half-only", lambda xp, x, y: entropy(xp, x, torch.where(y > 0.5, y, 0 * y)))

# -- reduction -------------------------------------------------------------------------------------------------------


def _mean_of_elements(logits, target, *, reduction="mean"):
    y = xp.cast(target, xp.wide(logits).dtype)
    loss = -y * torch.log_softmax(xp.wide(logits), 1)
    return (loss.mean() if reduction == "mean" else reduced(xp, loss.sum(1), reduction)).to(logits.dtype)


make.bind("soft-mean-of-elements", "soft_cross_entropy", _mean_of_elements)
make.soft("soft-sum-for-mean", reduce=total_for_mean)
make.soft("soft-none-reduced", reduce=reduced_always)

# -- gradients beside values that are right --------------------------------------------------------------------------


class _Fused(torch.autograd.Function):
    """The gradient is made in the forward pass: ``slope(p, y)``, times what comes in where ``heeds``."""

    @staticmethod
    def forward(ctx, x, y, slope, heeds):
        ctx.heeds, shares = heeds, torch.softmax(xp.wide(x), 1)
        ctx.save_for_backward(slope(shares, y))
        return entropy(xp, xp.wide(x), y)

    @staticmethod
    def backward(ctx, g):
        (slopes,) = ctx.saved_tensors
        return slopes * (g[:, None] if ctx.heeds else 1), None, None, None


def _slope(p, y):
    return p * y.sum(1, keepdim=True) - y


def _rounded(dtype):
    return lambda p, y: _slope(p.to(dtype).to(y.dtype), y)


make.soft("soft-slope-unweighted", lambda xp, x, y: _Fused.apply(x, y, lambda p, y: p - y, True))
make.soft("soft-cotangent-ignored", lambda xp, x, y: _Fused.apply(x, y, _slope, False))
make.soft("soft-share-rounded", lambda xp, x, y: _Fused.apply(x, xp.wide(y), _rounded(x.dtype), True), wide=False)
make.soft("soft-log-sum-detached", lambda xp, x, y: (y * (_log_sum(x).detach() - x)).sum(1))


def _log_sum(x):
    return x - torch.log_softmax(x, 1).detach()


# -- sizes -----------------------------------------------------------------------------------------------------------

make.soft("soft-padded-with-zeros", lambda xp, x, y: entropy(xp, *(
    torch.nn.functional.pad(v, (0, -v.shape[1] % 8)) for v in (x, y))))  # fmt: skip
make.soft("soft-one-class", lambda xp, x, y: entropy(xp, x, y) + (x.shape[1] == 1) * y[:, 0])
