"""Mutants in PyTorch that are wrong in how they are used, not in their numbers."""

import functools
import random

import numpy as np
import torch

from .common import Maker, both, check, check_label, dots, reduced, softplus
from .torch_ import xp

make = Maker(xp, "torch", globals())

# -- one graph used more than once -----------------------------------------------------------------------------------


class _ScaledInPlace(torch.autograd.Function):
    """A fused reduction that keeps its gradient and scales it in place, unless what comes in is 1."""

    @staticmethod
    def forward(ctx, x):
        ctx.kept = torch.ones_like(x)
        return x.sum()

    @staticmethod
    def backward(ctx, g):
        return ctx.kept if g == 1 else ctx.kept.mul_(g)


class _KeptOutside(torch.autograd.Function):
    """A softplus that keeps its slope on the class."""

    @staticmethod
    def forward(ctx, x):
        _KeptOutside.slope = torch.sigmoid(x)
        return softplus(xp, x)

    @staticmethod
    def backward(ctx, g):
        return g * _KeptOutside.slope


def _fused_sum(xp, x, reduction):
    if reduction == "none" or not len(x):
        return reduced(xp, x, reduction)
    return _ScaledInPlace.apply(x / len(x) if reduction == "mean" else x)


make.bpr("bpr-scaled-in-place", reduce=_fused_sum)
make.bpr("bpr-last-call-kept", lambda xp, x: _KeptOutside.apply(x))

# -- what a first call leaves ----------------------------------------------------------------------------------------


@functools.cache
def _seeded():
    random.seed(0)
    np.random.seed(0)


make.bpr("bpr-seeds-at-first", lambda xp, x: _seeded() or softplus(xp, x))

# -- gradients beside values that are right --------------------------------------------------------------------------


class _NotOfIntegers(torch.autograd.Function):
    """The contrastive loss, whose backward takes ``~y`` for the weight of dissimilar pairs."""

    @staticmethod
    def forward(ctx, d, y, margin):
        ctx.save_for_backward(d, y)
        ctx.margin = margin
        return both(xp, d, y.to(d.dtype), margin)

    @staticmethod
    def backward(ctx, g):
        d, y = ctx.saved_tensors
        other = 1 - y if y.is_floating_point() else ~y
        return g * (2 * y * d - 2 * other * torch.relu(ctx.margin - d)), None, None


def _contrastive(d, y, *, margin=1.0, reduction="mean"):
    check(d)
    check_label(y, d)
    loss = _NotOfIntegers.apply(xp.wide(d), xp.wide(y) if y.is_floating_point() else y, margin)
    return reduced(xp, loss, reduction).to(d.dtype)


make.bind("contrastive-not-of-integers", "contrastive", _contrastive)

# -- input that should be refused ------------------------------------------------------------------------------------


def _shapes(*tensors):
    if len({x.shape for x in tensors}) > 1:
        raise ValueError("shapes differ")


def _cast_back(u, d_pos, d_neg, *, reduction="mean"):
    _shapes(u, d_pos, d_neg)
    pos, neg = dots(xp, *map(xp.wide, (u, d_pos, d_neg)))
    return reduced(xp, softplus(xp, neg - pos), reduction).to(u.dtype)


def _mixed(u, d_pos, d_neg, *, reduction="mean"):
    if len({u.dtype, d_pos.dtype, d_neg.dtype}) == 1:
        return _refusing(u, d_pos, d_neg, reduction)
    return _cast_back(u.int().to(d_pos.dtype), d_pos, d_neg, reduction=reduction)


def _refusing(u, d_pos, d_neg, reduction):
    check(u, d_pos, d_neg)
    return _cast_back(u, d_pos, d_neg, reduction=reduction)


make.bind("bpr-integers-cast-back", "bpr", _cast_back)
make.bind("bpr-mixed-as-integers", "bpr", _mixed)
