"""Mutants in PyTorch."""

import types

import torch

from . import common
from .common import Maker, both, check, check_label, dots, euclidean, hinge, reduced, softplus, squared, triplet

xp = types.SimpleNamespace(
    wide=lambda x: x.to(torch.float64 if x.dtype == torch.float64 else torch.float32), cast=lambda x, d: x.to(d),
    sum=lambda x: x.sum(-1), total=torch.sum, average=torch.mean, where=torch.where, relu=torch.relu, exp=torch.exp,
    log=torch.log, log1p=torch.log1p,
    softplus=lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    sqrt=torch.sqrt, abs=torch.abs, sigmoid=torch.sigmoid,
    log_softmax=lambda x: torch.log_softmax(x, 1),
)  # fmt: skip
make = Maker(xp, "torch", globals())

# -- bpr: the link function ------------------------------------------------------------------------------------------

make.bpr("bpr-naive-exp", lambda xp, x: torch.log(1 + torch.exp(x)))
make.bpr("bpr-log1p-exp", lambda xp, x: torch.log1p(torch.exp(x)))
make.bpr("bpr-sigmoid-eps", lambda xp, x: -torch.log(torch.sigmoid(-x) + 1e-10))
make.bpr("bpr-naive-log-sigmoid", lambda xp, x: -torch.log(torch.sigmoid(-x)))
make.bpr("bpr-linear-at-20", lambda xp, x: torch.nn.functional.softplus(x))
make.bpr("bpr-linear-at-10", lambda xp, x: torch.nn.functional.softplus(x, threshold=10))
make.bpr("bpr-log-for-log1p", lambda xp, x: torch.relu(x) + torch.log(1 + torch.exp(-x.abs())))
make.bpr("bpr-cross-entropy", lambda xp, x: torch.nn.functional.binary_cross_entropy_with_logits(
    -x, torch.ones_like(x), reduction="none"))  # fmt: skip
make.bpr("bpr-half", lambda xp, x: softplus(xp, x) / 2)
make.bpr("bpr-swapped", lambda xp, x: softplus(xp, -x))
make.bpr("bpr-base-two", lambda xp, x: softplus(xp, x) * 1.4426950408889634)
make.bpr("bpr-saturated", lambda xp, x: softplus(xp, torch.clamp(x, max=23.03)))
make.bpr("bpr-sharpened", lambda xp, x: softplus(xp, 1.00390625 * x))
make.bpr("bpr-nan-hidden", lambda xp, x: torch.nan_to_num(softplus(xp, x), nan=0.0, posinf=torch.inf))
make.bpr("bpr-infinity-hidden", lambda xp, x: torch.nan_to_num(softplus(xp, x), nan=torch.nan, posinf=0.0))
make.bpr_scores("bpr-missing-negative", lambda xp, pos, neg: softplus(xp, -pos) + 0 * neg)


class _FactorIgnored(torch.autograd.Function):
    """A mean whose gradients are computed in the forward pass and handed on whatever comes in."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return torch.ones_like(g)


make.bpr("bpr-factor-ignored", reduce=lambda xp, x, r: x if r == "none" else _FactorIgnored.apply(reduced(xp, x, r)))

# -- bpr: scores, sums, dtypes ---------------------------------------------------------------------------------------

make.bpr("bpr-mean-over-d", scores=lambda xp, u, p, n: ((u * p).mean(-1), (u * n).mean(-1)))
make.bpr("bpr-one-side-detached", scores=lambda xp, u, p, n: ((u * p).sum(-1), (u * n.detach()).sum(-1)))
make.bpr("bpr-query-detached", scores=lambda xp, u, p, n: dots(xp, u.detach(), p, n))
make.bpr("bpr-odd-d-dropped", scores=lambda xp, u, p, n: dots(xp, *_even(u, p, n)))
make.bpr("bpr-normalised", scores=lambda xp, u, p, n: dots(xp, *(x / x.norm(dim=1, keepdim=True) for x in (u, p, n))))
make.bpr("bpr-in-batch", scores=lambda xp, u, p, n: ((u * p).sum(-1), (u @ n.T).mean(-1)))
make.bpr("bpr-single-inside", scores=lambda xp, u, p, n: dots(xp, u.float(), p.float(), n.float()))
make.bpr("bpr-tf32", scores=lambda xp, u, p, n: dots(xp, *map(_tf32, (u, p, n))))
make.bpr("bpr-low-precision-sum", scores=lambda xp, u, p, n: (_serial(u * p), _serial(u * n)), wide=False)
make.bpr("bpr-last-columns-lost", scores=lambda xp, u, p, n: dots(xp, *common.whole_blocks(u, p, n)))
make.bpr("bpr-sum-for-mean", reduce=common.total_for_mean)
make.bpr("bpr-none-reduced", reduce=common.reduced_always)


def _even(*tensors):
    even = tensors[0].shape[1] // 2 * 2
    return [x[:, : even or 1] for x in tensors]


def _tf32(x):
    """10 bits of mantissa, as tensor cores keep of float32; a straight-through gradient."""
    bits = x.detach().float().view(torch.int32)
    kept = ((bits + 0x1000) & ~0x1FFF).view(torch.float32).to(x.dtype)
    return torch.where(x.isfinite(), x + (kept - x).detach(), x)


def _serial(products):
    total = products[:, 0]
    for column in products.unbind(1)[1:]:
        total = total + column
    return total


class _IgnoresCotangent(torch.autograd.Function):
    """A fused loss whose backward returns the gradient of the sum whatever comes in."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return softplus(xp, x)

    @staticmethod
    def backward(ctx, g):
        return torch.sigmoid(ctx.saved_tensors[0])


class _Scaled(torch.autograd.Function):
    """A gradient that is too large by the batch."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g * len(g)


make.bpr("bpr-cotangent-ignored", lambda xp, x: _IgnoresCotangent.apply(x))
make.bpr("bpr-gradient-times-batch", lambda xp, x: softplus(xp, _Scaled.apply(x)))
make.bpr("bpr-one-example", lambda xp, x: softplus(xp, x) * (2 if len(x) == 1 else 1))
make.bpr("bpr-one-dimension", scores=lambda xp, u, p, n: dots(xp, u / (2 if u.shape[1] == 1 else 1), p, n))
make.bpr("bpr-large-batch", lambda xp, x: softplus(xp, torch.cat([x[:512], 0 * x[512:]])))
make.bpr("bpr-above-2-to-15", lambda xp, x: softplus(xp, torch.clamp(x, max=32768.0)))

_calls = []


def _remembers(xp, x):
    _calls.append(1)
    return softplus(xp, x) * (1 + len(_calls) % 2)


make.bpr("bpr-remembers", _remembers)
make.bpr("bpr-random", lambda xp, x: softplus(xp, x) * (1 + 0.2 * torch.rand(())))


def _other_dtype(u, d_pos, d_neg, *, reduction="mean"):
    check(u, d_pos, d_neg)
    pos, neg = dots(xp, u, d_pos, d_neg)
    return common.reduced(xp, softplus(xp, neg - pos), reduction).to(
        torch.float32 if u.dtype != torch.float32 else torch.float64
    )


def _in_place(u, d_pos, d_neg, *, reduction="mean"):
    check(u, d_pos, d_neg)
    a, p, n = map(xp.wide, (u, d_pos, d_neg))
    x = dots(xp, a, p, n)
    with torch.no_grad():
        u.mul_(0.5)
    return common.reduced(xp, softplus(xp, x[1] - x[0]), reduction).to(u.dtype)


def _misread(u, d_pos, d_neg, *, reduction="mean"):
    """Reads the memory of u as if it were contiguous."""
    check(u, d_pos, d_neg)
    flat = torch.as_strided(u, u.shape, (u.shape[1], 1), u.storage_offset())
    pos, neg = dots(xp, *map(xp.wide, (flat, d_pos, d_neg)))
    return common.reduced(xp, softplus(xp, neg - pos), reduction).to(u.dtype)


def _broadcasts(u, d_pos, d_neg, *, reduction="mean"):
    pos, neg = dots(xp, *map(xp.wide, (u, d_pos, d_neg)))
    return common.reduced(xp, softplus(xp, neg - pos[:, None]).mean(0), reduction).to(u.dtype)


def _one_dtype(u, d_pos, d_neg, *, reduction="mean"):
    check(u, d_pos, d_neg)
    pos, neg = dots(xp, *map(xp.wide, (u, d_pos, d_neg)))
    loss = softplus(xp, neg - pos) * (1.0625 if u.dtype == torch.bfloat16 else 1)
    return common.reduced(xp, loss, reduction).to(u.dtype)


make.bind("bpr-bfloat16-only", "bpr", _one_dtype)
make.bind("bpr-other-dtype", "bpr", _other_dtype)
make.bind("bpr-input-modified", "bpr", _in_place)
make.bind("bpr-layout-misread", "bpr", _misread)
make.bind("bpr-batch-by-batch", "bpr", _broadcasts)

# -- hinge -----------------------------------------------------------------------------------------------------------


class _Tie(torch.autograd.Function):
    """max(z, 0) with slope 2 at exactly 0: outside the subdifferential."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        (z,) = ctx.saved_tensors
        return g * torch.where(z == 0, 2.0, (z > 0).to(z.dtype))


make.hinge("hinge-margin-outside", lambda xp, pos, neg, m: m + torch.relu(neg - pos))
make.hinge("hinge-squared", lambda xp, pos, neg, m: torch.relu(m - pos + neg) ** 2)
make.hinge("hinge-half", lambda xp, pos, neg, m: torch.relu(m - pos + neg) / 2)
make.hinge("hinge-no-margin", lambda xp, pos, neg, m: torch.relu(neg - pos))
make.hinge("hinge-swapped", lambda xp, pos, neg, m: torch.relu(m - neg + pos))
make.hinge("hinge-unclamped", lambda xp, pos, neg, m: m - pos + neg)
make.hinge("hinge-leaky", lambda xp, pos, neg, m: torch.nn.functional.leaky_relu(m - pos + neg))
make.hinge("hinge-smooth", lambda xp, pos, neg, m: softplus(xp, m - pos + neg))
make.hinge("hinge-fixed-margin", lambda xp, pos, neg, m: torch.relu(1 - pos + neg))
make.hinge("hinge-scaled-scores", hinge, scores=lambda xp, u, p, n: tuple(
    (u / u.shape[1] ** 0.5 * x).sum(-1) * u.shape[1] ** 0.5 for x in (p, n)))  # fmt: skip
make.hinge("hinge-mean-of-nonzero", hinge, reduce=common.mean_of_nonzero)
make.hinge("hinge-tie-slope-two", lambda xp, pos, neg, m: _Tie.apply(m - pos + neg))
make.hinge("hinge-nan-swallowed", lambda xp, pos, neg, m: torch.fmax(m - pos + neg, 0 * torch.zeros_like(pos)))
make.hinge("hinge-positive-in-bfloat16", lambda xp, pos, neg, m: hinge(xp, pos, neg, m), scores=lambda xp, u, p, n: (
    dots(xp, u, p.bfloat16().float(), n) if u.dtype == torch.float32 else dots(xp, u, p, n)))  # fmt: skip
make.cosine("cosine-no-guard", lambda xp, x, y: (x * y).sum(-1) / (x.norm(dim=1) * y.norm(dim=1)))
make.cosine("cosine-eps-added", lambda xp, x, y: (x * y).sum(-1) / (x.norm(dim=1) * y.norm(dim=1) + 1e-8))
make.cosine("cosine-guard-per-norm", lambda xp, x, y: (x * y).sum(-1) / (
    x.norm(dim=1).clamp_min(1e-4) * y.norm(dim=1).clamp_min(1e-4)))  # fmt: skip
make.cosine("cosine-product-of-squares", common.cosine_of_squares, wide=False)
make.cosine("cosine-unnormalised-query", lambda xp, x, y: (x * y).sum(-1) / y.norm(dim=1).clamp_min(1e-8))
make.cosine("cosine-guard-in-the-dtype", lambda xp, x, y: (xp.wide(x) * xp.wide(y)).sum(-1) / (
    xp.wide(x).norm(dim=1) * xp.wide(y).norm(dim=1)).clamp_min(float(torch.tensor(1e-8, dtype=x.dtype))),
    wide=False)  # fmt: skip
make.cosine("cosine-no-slope-at-zero", lambda xp, x, y: common.zero_cosine_at_zero(xp, x, y))

# -- contrastive -----------------------------------------------------------------------------------------------------

make.contrastive("contrastive-mean-for-sum", both, reduce=common.mean_for_sum)
make.contrastive("contrastive-sum-from-mean", both, reduce=common.sum_from_mean)
make.contrastive("contrastive-biased-mean", both, reduce=common.biased_mean)
make.contrastive("contrastive-label-broadcast", both, label=lambda xp, y, d: y.to(d.dtype))
make.contrastive("contrastive-soft-label-rounded", lambda xp, d, y, m: both(xp, d, torch.round(y), m))
make.contrastive("contrastive-bool-label", both, label=lambda xp, y, d: (
    check_label(y, d) or (1 - y.to(d.dtype) if y.dtype == torch.bool else y.to(d.dtype))))  # fmt: skip
make.contrastive("contrastive-nan-label-hidden", lambda xp, d, y, m: both(xp, d, torch.nan_to_num(y), m))
make.pair("pair-nan-gradient", lambda xp, x, y: torch.sqrt(((x - y) ** 2).sum(-1)))
make.pair("pair-gram", lambda xp, x, y: torch.sqrt(torch.relu(
    (x * x).sum(-1) + (y * y).sum(-1) - 2 * (x * y).sum(-1)) + 0))  # fmt: skip
make.pair("pair-eps-added", lambda xp, x, y: torch.nn.functional.pairwise_distance(x, y))
make.pair("pair-nan-beyond-25-rows", lambda xp, x, y: euclidean(xp, x, y) if len(x) <= 25 else squared(xp, x, y).sqrt())
make.pair("pair-second-detached", lambda xp, x, y: euclidean(xp, x, y.detach()))
make.pair("pair-small-is-zero", lambda xp, x, y: common.zero_below(xp, euclidean(xp, x, y), 1e-10))
make.pair("pair-small-squares-lost", lambda xp, x, y: common.root_without(xp, x, y, 64 * torch.finfo(x.dtype).tiny))
make.pair("pair-mean-over-d", lambda xp, x, y: euclidean(xp, x, y) / x.shape[1] ** 0.5)

# -- labeled triplet -------------------------------------------------------------------------------------------------

make.triplet("triplet-clamped", lambda xp, near, far, between, m: torch.relu(triplet(xp, near, far, between, m)))
make.triplet("triplet-gram", triplet, square=lambda xp, x, y: (x * x).sum(-1) + (y * y).sum(-1) - 2 * (x * y).sum(-1))
make.triplet("triplet-mean-times-d", triplet, square=lambda xp, x, y: ((x - y) ** 2).mean(-1) * x.shape[1])
make.triplet("triplet-single-inside", triplet, square=lambda xp, x, y: squared(xp, x.float(), y.float()))
