"""Right but different, in PyTorch, of kl_div."""

import torch

from ..mutants.common import Maker, check, check_weights, divergence, log_or_zero, reduced, reduced_wide, terms
from ..mutants.torch_ import xp

make = Maker(xp, "torch", globals())


def _by_xlogy(x, y):
    return (torch.xlogy(y, y) - y * x).sum(1)


# -- the functions of the library ------------------------------------------------------------------------------------


def _native(xp, x, y):
    return torch.nn.functional.kl_div(x, y, reduction="none").sum(1)


def _batchmean(log_q, p, *, reduction="mean"):
    check(log_q)
    check_weights(p, log_q)
    x = xp.wide(log_q)
    y = xp.cast(p, x.dtype)
    if reduction == "none":
        return _native(xp, x, y).to(log_q.dtype)
    how = {"mean": "batchmean", "sum": "sum"}[reduction]
    return torch.nn.functional.kl_div(x, y, reduction=how).to(log_q.dtype)


make.kl("kl-native", _native, modes=("eager", "compile"))
make.kl("kl-native-in-the-dtype", _native, wide=False, reduce=reduced_wide)
make.bind("kl-batchmean", "kl_div", _batchmean)
make.kl("kl-xlogy", lambda xp, x, y: _by_xlogy(x, y))
make.kl("kl-entr", lambda xp, x, y: (-torch.special.entr(y) - y * x).sum(1))
make.kl("kl-guarded", modes=("eager", "compile"))
make.kl("kl-guarded-in-the-dtype", wide=False, reduce=reduced_wide)

# -- the order of the steps, classes and rows ------------------------------------------------------------------------


def _zero_written_over(x, y):
    """As torch.distributions.kl: 0 is written over the terms of p = 0."""
    return torch.where((y == 0) & ~x.isnan(), 0.0, y * (torch.log(y) - x)).sum(1)


def _chunked(x, y, size):
    total = torch.zeros_like(x[:, 0])
    for a, b in zip(x.split(size, 1), y.split(size, 1), strict=True):
        total = total + _by_xlogy(a, b)
    return total


def _sorted(x, y):
    order = x.detach().argsort(1)
    return x.gather(1, order), y.gather(1, order)


def _padded(v, filled):
    return torch.nn.functional.pad(v, (0, 13), value=filled)


make.kl("kl-zero-written-over", lambda xp, x, y: _zero_written_over(x, y))
make.kl("kl-chunked", lambda xp, x, y: _chunked(x, y, 4))
make.kl("kl-class-by-class", lambda xp, x, y: _chunked(x, y, 1 if x.shape[1] < 200 else 16))
make.kl("kl-rows-chunked", lambda xp, x, y: torch.cat(
    [_by_xlogy(a, b) for a, b in zip(x.split(3), y.split(3), strict=True)]))  # fmt: skip
make.kl("kl-classes-reversed", lambda xp, x, y: _by_xlogy(x.flip(1), y.flip(1)))
make.kl("kl-classes-sorted", lambda xp, x, y: divergence(xp, *_sorted(x, y)))
make.kl("kl-padded", lambda xp, x, y: _by_xlogy(_padded(x, -1.0), _padded(y, 0.0)))
make.kl("kl-negated", lambda xp, x, y: -(y * (x - log_or_zero(xp, y))).sum(1))
make.kl("kl-clamped-log", lambda xp, x, y: (y * (torch.log(y.clamp_min(torch.finfo(y.dtype).tiny)) - x)).sum(1))
make.kl("kl-double-inside", lambda xp, x, y: divergence(xp, x.double(), y.double()))
make.kl("kl-einsum", lambda xp, x, y: torch.einsum("bc,bc->b", y, log_or_zero(xp, y) - x))

# -- gradients of one's own ------------------------------------------------------------------------------------------


class _Fused(torch.autograd.Function):
    """One pass whose gradient is -p times what comes in."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(y)
        return terms(xp, x, y).sum(1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return -g[:, None] * ctx.saved_tensors[0], None


make.kl("kl-fused", lambda xp, x, y: _Fused.apply(x, y))
make.kl("kl-reduced-wide", reduce=lambda xp, loss, how: reduced(xp, loss.double(), how))
