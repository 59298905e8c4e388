"""Mutants of kl_div in PyTorch."""

import torch

from .common import Maker, divergence, log_or_zero, reduced, reduced_always, reduced_wide, terms, total_for_mean
from .torch_ import xp

make = Maker(xp, "torch", globals())

# -- what is taken for what ------------------------------------------------------------------------------------------

make.kl("kl-reversed", lambda xp, x, y: (torch.exp(x) * (x - log_or_zero(xp, y))).sum(1))
make.kl("kl-log-target", lambda xp, x, y: torch.nn.functional.kl_div(x, y, reduction="none", log_target=True).sum(1))
make.kl("kl-exp-of-log", lambda xp, x, y: torch.where(
    y == 0, y * x, torch.exp(log_or_zero(xp, y)) * (log_or_zero(xp, y) - x)).sum(1))  # fmt: skip
make.kl("kl-logits", lambda xp, x, y: divergence(xp, torch.log_softmax(x, 1), y))
make.kl("kl-target-normalised", lambda xp, x, y: divergence(xp, x, y / y.sum(1, keepdim=True)))
make.kl("kl-cross-entropy", lambda xp, x, y: -(y * x).sum(1))
make.kl("kl-base-two", lambda xp, x, y: divergence(xp, x, y) * 1.4426950408889634)

# -- zero, small and infinite numbers --------------------------------------------------------------------------------

make.kl("kl-nan-at-zero", lambda xp, x, y: (y * (torch.log(y) - x)).sum(1))
make.kl("kl-eps-in-log", lambda xp, x, y: (y * (torch.log(y + 1e-8) - x)).sum(1))
make.kl("kl-clipped", lambda xp, x, y: _of_ratio(y.clamp(1e-7, 1), torch.exp(x).clamp(1e-7, 1)))
make.kl("kl-log-q-clamped", lambda xp, x, y: divergence(xp, x.clamp_min(-100), y))
make.kl("kl-small-dropped", lambda xp, x, y: torch.where(y < 1e-3, 0 * x, terms(xp, x, y)).sum(1))
make.kl("kl-terms-clamped", lambda xp, x, y: torch.relu(terms(xp, x, y)).sum(1))
make.kl("kl-loss-clamped", lambda xp, x, y: torch.relu(divergence(xp, x, y)))
make.kl("kl-nan-hidden", lambda xp, x, y: torch.nan_to_num(divergence(xp, x, y), posinf=torch.inf, neginf=-torch.inf))


def _of_ratio(p, q):
    return (p * torch.log(p / q)).sum(1)


# -- dtypes and sizes ------------------------------------------------------------------------------------------------

make.kl("kl-single-inside", lambda xp, x, y: divergence(xp, x.float(), y.float()))
make.kl("kl-serial-in-the-dtype", lambda xp, x, y: _serial(terms(xp, x, y)), wide=False, reduce=reduced_wide)
make.kl("kl-last-classes-lost", lambda xp, x, y: divergence(xp, *_blocks(x, y)))
make.kl("kl-one-class", lambda xp, x, y: divergence(xp, x, y) * (x.shape[1] > 1))


def _serial(each):
    total = each[:, 0]
    for column in each.unbind(1)[1:]:
        total = total + column
    return total


def _blocks(*tensors):
    """Without the classes that fill no block of 128, where there are more than 128."""
    classes = tensors[0].shape[1]
    return [x[:, : classes // 128 * 128] if classes > 128 else x for x in tensors]


# -- reduction -------------------------------------------------------------------------------------------------------


def _mean_of_elements(log_q, p, *, reduction="mean"):
    """The default of torch.nn.functional.kl_div."""
    x = xp.wide(log_q)
    each = torch.nn.functional.kl_div(x, xp.cast(p, x.dtype), reduction="none")
    return (each.mean() if reduction == "mean" else reduced(xp, each.sum(1), reduction)).to(log_q.dtype)


make.bind("kl-mean-of-elements", "kl_div", _mean_of_elements)
make.kl("kl-sum-for-mean", reduce=total_for_mean)
make.kl("kl-none-reduced", reduce=reduced_always)

# -- gradients beside values that are right --------------------------------------------------------------------------


class _Slope(torch.autograd.Function):
    """The right value with ``slope(x, y)`` as its gradient, times what comes in where ``heeds``."""

    @staticmethod
    def forward(ctx, x, y, slope, heeds):
        ctx.heeds = heeds
        ctx.save_for_backward(slope(x, y))
        return divergence(xp, x, y)

    @staticmethod
    def backward(ctx, g):
        (slopes,) = ctx.saved_tensors
        return slopes * (g[:, None] if ctx.heeds else 1), None, None, None


make.kl("kl-slope-of-logits", lambda xp, x, y: _Slope.apply(x, y, lambda x, y: torch.exp(x) - y, True))
make.kl("kl-slope-in-bfloat16", lambda xp, x, y: _Slope.apply(x, y, lambda x, y: -y.bfloat16().to(y.dtype), True))
make.kl("kl-cotangent-ignored", lambda xp, x, y: _Slope.apply(x, y, lambda x, y: -y, False))
make.kl("kl-infinity-written-over", lambda xp, x, y: torch.where(
    (y > 0) & torch.isneginf(x), torch.inf, terms(xp, x, y)).sum(1))  # fmt: skip
make.kl("kl-detached", lambda xp, x, y: divergence(xp, torch.where(y < 0.5, x.detach(), x), y))
