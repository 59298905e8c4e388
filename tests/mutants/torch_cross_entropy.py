"""Mutants of cross_entropy in PyTorch."""

import types

import torch

from . import torch_
from .cross_entropy import Entropy, below_largest, literal, mean_of_others, refused, softmax

xp = types.SimpleNamespace(
    **vars(torch_.xp),
    integer=lambda x: x.long(), ones=lambda x: x.new_ones(x.shape[1]), zeros=torch.zeros_like,
    numbers=lambda x: None if torch.compiler.is_compiling() else x.numpy(),
    at=lambda w, i: w[i], take=lambda x, i: x.gather(1, i[:, None])[:, 0],
    largest=lambda x: x.detach().amax(1, keepdim=True),
)  # fmt: skip
make = Entropy(xp, "torch", globals())

# -- the logarithm of softmax ----------------------------------------------------------------------------------------

make.entropy("ce-in-the-dtype", wide=lambda x: x)
make.entropy("ce-single-inside", wide=lambda x: x.float())
make.entropy("ce-literal", log_p=literal)
make.entropy("ce-eps-in-log", log_p=lambda xp, x: torch.log(softmax(xp, x) + 1e-8))
make.entropy("ce-second-largest", log_p=lambda xp, x: _shifted(x, x.detach().topk(min(2, x.shape[1])).values[:, -1:]))
make.entropy("ce-last-classes-lost", log_p=lambda xp, x: _whole_blocks(x))


def _shifted(x, shift):
    z = x - shift
    return z - torch.log(torch.exp(z).sum(1, keepdim=True))


def _whole_blocks(x):
    """Of more than 1000 classes only whole blocks of 128 are in the sum."""
    classes = x.shape[1]
    read = x[:, : classes // 128 * 128] if classes > 1000 else x
    most = read.detach().amax(1, keepdim=True)
    return (x - most) - torch.log(torch.exp(read - most).sum(1, keepdim=True))


# -- rows that do not count, weights, smoothing ----------------------------------------------------------------------


class _ValueOnly(torch.autograd.Function):
    """Zeros the losses of ignored rows, and forgets their gradient."""

    @staticmethod
    def forward(ctx, loss, counted):
        return torch.where(counted, loss, 0)

    @staticmethod
    def backward(ctx, g):
        return g, None


make.entropy("ce-ignored-in-value-only", visible=lambda xp, x, counted: x, hard=lambda xp, x, c: _ValueOnly.apply(x, c))
make.entropy("ce-ignored-times-zero", visible=lambda xp, x, counted: x, hard=lambda xp, x, counted: x * counted)
make.entropy("ce-ignore-index-fixed", counted=lambda xp, target, ignore_index: target != -100)
make.entropy("ce-mean-over-rows-that-count", divisor=lambda xp, w_y, counted: counted.sum())
make.entropy("ce-smoothing-to-others", smooth=mean_of_others)
make.entropy("ce-class-in-the-dtype", index=lambda xp, i, x: refused(xp, i, x).to(x.dtype).long() % x.shape[1])


# -- gradients beside values that are right --------------------------------------------------------------------------


class _Rounded(torch.autograd.Function):
    """log softmax whose backward takes probabilities that were kept in the dtype of the logits."""

    @staticmethod
    def forward(ctx, x):
        log_p = below_largest(xp, xp.wide(x))
        ctx.save_for_backward(log_p.exp().to(x.dtype))
        return log_p

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (p,) = ctx.saved_tensors
        return (g - p.to(g.dtype) * g.sum(1, keepdim=True)).to(p.dtype)


class _ScaledInPlace(torch.autograd.Function):
    """A fused loss that keeps its gradient and scales it in place, unless what comes in is 1."""

    @staticmethod
    def forward(ctx, loss):
        ctx.kept = torch.ones_like(loss)
        return loss.sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return ctx.kept if g == 1 else ctx.kept.mul_(g)


def _fused_sum(xp, loss, reduction):
    return loss if reduction == "none" else _ScaledInPlace.apply(loss)


make.entropy("ce-rounded-probabilities", wide=lambda x: x, log_p=lambda xp, x: _Rounded.apply(x))
make.entropy("ce-scaled-in-place", reduce=_fused_sum)
