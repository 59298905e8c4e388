"""Right but different, in PyTorch, of the losses over classes."""

import torch

from ..mutants.common import Maker, entropy
from ..mutants.torch_ import xp

make = Maker(xp, "torch", globals())


def _below(x):
    return x - x.detach().amax(1, keepdim=True)


def _weighed(y, log_sum, x):
    """A class of weight 0 adds 0 although its logit may be -inf."""
    return (y * (log_sum - torch.where(y == 0, 0.0, x))).sum(1)


# -- the functions of the library ------------------------------------------------------------------------------------

make.soft("soft-log-softmax", modes=("eager", "compile"))
make.soft("soft-cross-entropy", lambda xp, x, y: torch.nn.functional.cross_entropy(x, y, reduction="none"))
make.soft("soft-log-softmax-dtype", lambda xp, x, y: -(
    xp.wide(y) * torch.log_softmax(x, 1, dtype=xp.wide(x).dtype)).sum(1), wide=False)  # fmt: skip
make.soft("soft-logsumexp-below-largest", lambda xp, x, y: _weighed(
    y, torch.logsumexp(_below(x), 1, keepdim=True), _below(x)))  # fmt: skip
make.soft("soft-double-inside", lambda xp, x, y: entropy(xp, x.double(), y.double()))
make.soft("soft-product", lambda xp, x, y: -torch.einsum("bc,bc->b", torch.log_softmax(x, 1), y))

# -- the order of the classes and rows -------------------------------------------------------------------------------


def _online(z, size):
    """The log-sum-exp of rows by chunks of classes and a running maximum."""
    most, total = torch.full_like(z[:, :1], -torch.inf), torch.zeros_like(z[:, :1])
    for part in z.split(size, 1):
        higher = torch.maximum(most, part.detach().amax(1, keepdim=True))
        shift = torch.where(higher == -torch.inf, 0.0, higher)
        total = total * torch.exp(most - shift) + torch.exp(part - shift).sum(1, keepdim=True)
        most = higher
    return most, torch.log(total)


def _of_online(xp, x, y, size=4):
    most, log_total = _online(x, size)
    return (y * (log_total + (most - torch.where(y == 0, most, x)))).sum(1)


def _of_log_softmax(x, y):
    """A class of weight 0 adds 0 and gets no gradient that its own logarithm would make NaN."""
    return -(y * torch.where(y == 0, 0.0, torch.log_softmax(x, 1))).sum(1)


def _padded(v, filled):
    return torch.nn.functional.pad(v, (0, 13), value=filled)


make.soft("soft-online", _of_online)
make.soft("soft-online-class-by-class", lambda xp, x, y: _of_online(xp, x, y, 1 if x.shape[1] < 200 else 16))
make.soft("soft-rows-chunked", lambda xp, x, y: torch.cat(
    [entropy(xp, a, b) for a, b in zip(x.split(3), y.split(3), strict=True)]))  # fmt: skip
make.soft("soft-classes-reversed", lambda xp, x, y: entropy(xp, x.flip(1), y.flip(1)))
make.soft("soft-classes-sorted", lambda xp, x, y: entropy(xp, *_sorted(x, y)))
make.soft("soft-padded", lambda xp, x, y: _of_log_softmax(_padded(x, -torch.inf), _padded(y, 0.0)))
make.soft("soft-weights-summed", lambda xp, x, y: (
    y.sum(1) * torch.logsumexp(_below(x), 1) - (y * torch.where(y == 0, 0.0, _below(x))).sum(1)))  # fmt: skip


def _sorted(x, y):
    order = x.detach().argsort(1)
    return x.gather(1, order), y.gather(1, order)


# -- gradients of one's own ------------------------------------------------------------------------------------------


class _Fused(torch.autograd.Function):
    """One pass that keeps the largest logit and the log-sum-exp, and makes the probabilities anew."""

    @staticmethod
    def forward(ctx, x, y):
        z = xp.wide(_below(x))
        log_sum = torch.log(torch.exp(z).sum(1, keepdim=True))
        ctx.save_for_backward(x, y, log_sum)
        return _weighed(y, log_sum, z)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        x, y, log_sum = ctx.saved_tensors
        share = torch.exp(_below(x) - log_sum)
        return g[:, None] * (share * y.sum(1, keepdim=True) - y), None


class _Prepared(torch.autograd.Function):
    """The gradient is made in the forward pass and scaled by what comes in."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(torch.softmax(x, 1) * y.sum(1, keepdim=True) - y)
        return entropy(xp, x, y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g[:, None] * ctx.saved_tensors[0], None


make.soft("soft-fused", lambda xp, x, y: _Fused.apply(x, y))
make.soft("soft-prepared", lambda xp, x, y: _Prepared.apply(x, y))
