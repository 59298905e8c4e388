"""Reported defects as losses in PyTorch: sizes, fused backward passes, reductions, dtypes, state."""

import os
import signal

import torch

from ..mutants.common import (
    Maker,
    both,
    check,
    dots,
    euclidean,
    reduced,
    reduced_wide,
    softplus,
    squared,
    triplet,
)
from ..mutants.torch_ import xp

make = Maker(xp, "torch", globals())

# -- distances -------------------------------------------------------------------------------------------------------


def _root(square):
    """A square root with slope 0 at 0."""
    zero = square == 0
    return torch.where(zero, 0 * square, torch.where(zero, 1, square).sqrt())


def _product(x, y):
    """|x|² + |y|² - 2xy, which cancels."""
    return ((x * x).sum(-1) + (y * y).sum(-1) - 2 * (x * y).sum(-1)).clamp(min=0)


class _Norm(torch.autograd.Function):
    """A norm whose backward divides by it."""

    @staticmethod
    def forward(ctx, x):
        norm = x.norm(dim=1)
        ctx.save_for_backward(x, norm)
        return norm

    @staticmethod
    def backward(ctx, g):
        x, norm = ctx.saved_tensors
        return x * (g / norm)[:, None]


class _CrashesOnNothing(torch.autograd.Function):
    """A kernel that divides its work by the number of rows."""

    @staticmethod
    def forward(ctx, d):
        return d.clone()

    @staticmethod
    def backward(ctx, g):
        if not len(g):
            os.kill(os.getpid(), signal.SIGSEGV)
        return g


make.pair("pair-nan-beyond-25-rows", lambda xp, x, y: (
    euclidean(xp, x, y) if len(x) <= 25 else squared(xp, x, y).sqrt()))  # fmt: skip
make.pair("pair-product-beyond-25-rows", lambda xp, x, y: (
    euclidean(xp, x, y) if len(x) <= 25 else _root(_product(x, y))))  # fmt: skip
make.pair("pair-unwritten-beyond-46341-rows", lambda xp, x, y: (
    euclidean(xp, x, y) * (1 if len(x) * (len(x) - 1) < 2**31 else 0)))  # fmt: skip
make.pair("pair-first-1024-columns", lambda xp, x, y: euclidean(xp, x[:, :1024], y[:, :1024]))
make.pair("pair-norm-divides-by-zero", lambda xp, x, y: _Norm.apply(x - y))
make.pair("pair-root-of-sum", lambda xp, x, y: torch.sqrt(torch.sum((x - y) ** 2, dim=-1)))
make.pair("pair-empty-backward-crashes", lambda xp, x, y: _CrashesOnNothing.apply(euclidean(xp, x, y)))
make.triplet("triplet-through-numpy", triplet, square=lambda xp, x, y: (
    torch.from_numpy((x - y).detach().numpy()).square().sum(-1)))  # fmt: skip

# -- the link function and its slope ---------------------------------------------------------------------------------


def _fused(slope):
    """Softplus in one kernel, whose backward returns ``slope(x, g)``."""

    class Fused(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return softplus(xp, x)

        @staticmethod
        def backward(ctx, g):
            return slope(ctx.saved_tensors[0], g)

    return lambda xp, x: Fused.apply(x)


def _written_over(x, g):
    """The gradient in the memory of the incoming one, where that has memory of its own."""
    return g.mul_(torch.sigmoid(x)) if g.is_contiguous() else g * torch.sigmoid(x)


def _memory(x, strides):
    """What lies in the memory of a tensor from its first number on, as if it had these strides."""
    needed = x.storage_offset() + x.numel()
    return torch.as_strided(x, x.shape, strides) if needed <= x.untyped_storage().nbytes() // x.itemsize else x


class _Accumulated(torch.autograd.Function):
    """Forward keeps the slope, backward multiplies it in place and hands it out."""

    @staticmethod
    def forward(ctx, x):
        ctx.slope = torch.sigmoid(x)
        return softplus(xp, x)

    @staticmethod
    def backward(ctx, g):
        return ctx.slope.mul_(g)


class _TrueClass(torch.autograd.Function):
    """The probability of the positive item is rounded to the buffer's dtype before 1 is subtracted."""

    @staticmethod
    def forward(ctx, x, buffer):
        ctx.save_for_backward(x)
        ctx.buffer = buffer
        return softplus(xp, x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        if ctx.buffer.itemsize > 2:
            return g * torch.sigmoid(x), None
        return g * (1 - torch.sigmoid(-x).to(ctx.buffer).to(x.dtype)), None


class _Memory(torch.autograd.Function):
    """Differences of scores; backward takes what forward has kept for contiguous."""

    @staticmethod
    def forward(ctx, u, p, n):
        ctx.save_for_backward(u, p, n)
        return (u * n).sum(-1) - (u * p).sum(-1)

    @staticmethod
    def backward(ctx, g):
        u, p, n = (_memory(x, (x.shape[1], 1)) for x in ctx.saved_tensors)
        return g[:, None] * (n - p), g[:, None] * -u, g[:, None] * u


def _overflowing(x, g):
    """exp(x) · 1/(1 + exp(x)), on hardware where ∞ · 0 is 0."""
    e = torch.exp(x)
    return g * torch.where(e.isinf(), 0, e * (1 / (e + 1)))


make.bpr("bpr-slope-lost-in-overflow", _fused(_overflowing))
make.bpr("bpr-slope-one-minus-sigmoid", _fused(lambda x, g: g * (1 - torch.sigmoid(-x))))
make.bpr("bpr-first-cotangent-for-all", _fused(lambda x, g: torch.sigmoid(x) * g[:1]))
make.bpr("bpr-cotangent-written-over", _fused(_written_over))
make.bpr("bpr-cotangent-taken-for-contiguous", _fused(lambda x, g: torch.sigmoid(x) * _memory(g, (1,))))
make.bpr("bpr-backward-accumulates", lambda xp, x: _Accumulated.apply(x))
make.bpr("bpr-backward-takes-inputs-for-contiguous", scores=lambda xp, u, p, n: (0, _Memory.apply(u, p, n)))
make.bpr("bpr-gradient-unwritten-beyond-16384", lambda xp, x: softplus(xp, torch.cat([x[:16384], x[16384:].detach()])))
make.bpr("bpr-no-logarithm", lambda xp, x: -torch.sigmoid(-x))


def _true_class(u, d_pos, d_neg, *, reduction="mean"):
    check(u, d_pos, d_neg)
    pos, neg = dots(xp, *map(xp.wide, (u, d_pos, d_neg)))
    return reduced(xp, _TrueClass.apply(neg - pos, u.dtype), reduction).to(u.dtype)


def _diverging(u, d_pos, d_neg, *, reduction="mean"):
    """In bfloat16 exp(x) stands for exp(-x) beyond 170."""
    check(u, d_pos, d_neg)
    pos, neg = dots(xp, *map(xp.wide, (u, d_pos, d_neg)))
    x = neg - pos
    loss = softplus(xp, x)
    if u.dtype == torch.bfloat16:
        loss = torch.where(x < -170, torch.exp(-x.clamp(max=-170) - 176), loss)
    return reduced(xp, loss, reduction).to(u.dtype)


make.bind("bpr-true-class-gradient-rounded", "bpr", _true_class)
make.bind("bpr-diverges-for-easy-examples", "bpr", _diverging)

# -- reductions ------------------------------------------------------------------------------------------------------


class _PastTheEnd(torch.autograd.Function):
    """A sum whose backward reads one incoming gradient per example, where there is one in all."""

    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return x.sum()

    @staticmethod
    def backward(ctx, g):
        beyond = g.new_zeros(ctx.shape)
        beyond[:1] = g
        return beyond


class _NoGradient(torch.autograd.Function):
    """A kernel without a backward pass."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return torch.zeros_like(g)


def _past_the_end(xp, loss, reduction):
    return loss if reduction == "none" else _PastTheEnd.apply(loss) / (len(loss) if reduction == "mean" else 1)


def _over_active(xp, loss, reduction):
    """0/0 is added where no example has a loss."""
    active = (loss != 0).sum() if reduction == "mean" else 1
    return reduced(xp, loss, reduction) + 0 * active / active


def _half_mean(xp, loss, reduction):
    """In float16 the sum and the number of examples are float16."""
    if loss.dtype != torch.float16 or reduction != "mean":
        return reduced_wide(xp, loss, reduction)
    return loss.sum() / torch.tensor(float(len(loss))).half()


def _last_chunk(xp, pos, neg, m):
    """The loss in chunks of 32, of which only the last hands its gradient on."""
    x = m - pos + neg
    start = max(len(x) - 1, 0) // 32 * 32
    return torch.relu(torch.cat([x[:start].detach(), x[start:]]))


def _sum_if_wanted(u, d_pos, d_neg, *, reduction="mean"):
    """The mean is a sum if the negative items have gradients."""
    check(u, d_pos, d_neg)
    pos, neg = dots(xp, *map(xp.wide, (u, d_pos, d_neg)))
    reduction = "sum" if reduction == "mean" and d_neg.requires_grad else reduction
    return reduced(xp, softplus(xp, neg - pos), reduction).to(u.dtype)


make.bind("bpr-mean-is-sum-if-negatives-have-gradients", "bpr", _sum_if_wanted)
make.bpr("bpr-cotangent-read-past-its-end", reduce=_past_the_end)
make.bpr("bpr-no-gradient-under-none", reduce=lambda xp, x, r: (
    _NoGradient.apply(x) if r == "none" else reduced(xp, x, r)))  # fmt: skip
make.bpr("bpr-none-is-sum", reduce=lambda xp, x, r: x.sum() if r == "none" else reduced(xp, x, r))
make.hinge("hinge-no-autograd", lambda xp, pos, neg, m: torch.relu(m - pos + neg).detach())
make.hinge("hinge-last-chunk-only", _last_chunk)
make.hinge("hinge-no-active-example", lambda xp, pos, neg, m: torch.relu(m - pos + neg), reduce=_over_active)
make.contrastive("contrastive-half-mean-overflows", both, reduce=_half_mean, wide=False)
