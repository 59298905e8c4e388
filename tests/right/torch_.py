"""Right but different, in PyTorch."""

import torch

from ..mutants.common import (
    Maker,
    both,
    dots,
    euclidean,
    hinge,
    narrow,
    reduced_wide,
    root_unless_equal,
    softplus,
    triplet,
)
from ..mutants.torch_ import xp

make = Maker(xp, "torch", globals())

# -- scores ----------------------------------------------------------------------------------------------------------

make.bpr("bpr-einsum", scores=lambda xp, u, p, n: tuple(torch.einsum("bd,bd->b", u, x) for x in (p, n)))
make.bpr("bpr-vecdot", scores=lambda xp, u, p, n: tuple(torch.linalg.vecdot(u, x) for x in (p, n)))
make.bpr("bpr-batched-matmul", scores=lambda xp, u, p, n: tuple((u[:, None] @ x[:, :, None])[:, 0, 0] for x in (p, n)))
make.bpr("bpr-double-inside", scores=lambda xp, u, p, n: dots(xp, u.double(), p.double(), n.double()))
make.bpr(
    "bpr-of-the-difference",
    scores=lambda xp, u, p, n: (0 * u[:, 0].detach().nan_to_num(0, 0, 0), (u * (n - p)).sum(-1)),
)
make.bpr("bpr-chunked", scores=lambda xp, u, p, n: tuple(sum(c.sum(-1) for c in (u * x).chunk(4, 1)) for x in (p, n)))
make.bpr("bpr-serial", scores=lambda xp, u, p, n: (_serial(u * p), _serial(u * n)))
make.bpr("bpr-pairwise", scores=lambda xp, u, p, n: (_pairwise(u * p), _pairwise(u * n)))
make.bpr("bpr-compensated", scores=lambda xp, u, p, n: (_kahan(u * p), _kahan(u * n)))
make.bpr("bpr-padded", scores=lambda xp, u, p, n: dots(xp, *(torch.nn.functional.pad(x, (0, 13)) for x in (u, p, n))))
make.bpr(
    "bpr-batch-reversed", scores=lambda xp, u, p, n: tuple(s.flip(0) for s in dots(xp, *(x.flip(0) for x in (u, p, n))))
)
make.bpr("bpr-columns-reversed", scores=lambda xp, u, p, n: dots(xp, *(x.flip(1) for x in (u, p, n))))
make.bpr("bpr-one-by-one", scores=lambda xp, u, p, n: tuple(
    torch.stack([torch.dot(a, b) for a, b in zip(u, x, strict=True)]) for x in (p, n)))  # fmt: skip


def _serial(products):
    total = products[:, 0]
    for column in products.unbind(1)[1:]:
        total = total + column
    return total


def _pairwise(products):
    while products.shape[1] > 1:
        half = products.shape[1] // 2
        products = torch.cat([products[:, :half] + products[:, half : 2 * half], products[:, 2 * half :]], 1)
    return products[:, 0]


class _Kahan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, products):
        ctx.shape = products.shape
        total, lost = torch.zeros_like(products[:, 0]), torch.zeros_like(products[:, 0])
        for column in products.unbind(1):
            y = column - lost
            t = total + y
            lost = torch.where(torch.isfinite(t), (t - total) - y, 0.0)
            total = t
        return total

    @staticmethod
    def backward(ctx, g):
        return g[:, None].expand(ctx.shape)


def _kahan(products):
    return _Kahan.apply(products)


# -- links -----------------------------------------------------------------------------------------------------------


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))

    @staticmethod
    def backward(ctx, g):
        return g * torch.sigmoid(ctx.saved_tensors[0])


make.bpr("bpr-log-sigmoid", lambda xp, x: -torch.nn.functional.logsigmoid(-x))
make.bpr("bpr-fused", lambda xp, x: _Fused.apply(x))
make.hinge("hinge-clamp", lambda xp, pos, neg, m: torch.clamp(m - pos + neg, min=0))
make.hinge("hinge-maximum", lambda xp, pos, neg, m: torch.maximum(m - pos + neg, torch.zeros_like(pos)))
make.hinge("hinge-where", lambda xp, pos, neg, m: torch.where((m - pos + neg) < 0, 0.0, m - pos + neg))
make.hinge("hinge-difference-first", lambda xp, pos, neg, m: torch.relu(m - (pos - neg)))
make.hinge("hinge-negative-first", lambda xp, pos, neg, m: torch.relu((m + neg) - pos))
make.hinge("hinge-plain", hinge)

# -- every operation rounded to the dtype of the inputs ----------------------------------------------------------------

native = {"reduce": reduced_wide, "wide": False}
make.bpr("bpr-native", softplus, scores=narrow, **native)
make.bpr("bpr-native-steps", lambda xp, x: _Fused.apply(x), scores=narrow, **native)
make.hinge("hinge-native", hinge, scores=narrow, **native)
make.contrastive("contrastive-native", both, **native)
make.triplet("triplet-native", triplet, **native)

# -- contrastive and triplet -------------------------------------------------------------------------------------------

make.contrastive("contrastive-powers", lambda xp, d, y, m: y * d.pow(2) + (1 - y) * torch.relu(m - d).pow(2))
make.contrastive("contrastive-left-to-right", lambda xp, d, y, m: y * d * d + (1 - y) * torch.relu(m - d) ** 2)
make.contrastive("contrastive-double-inside", lambda xp, d, y, m: both(xp, d.double(), y.double(), m))
make.triplet("triplet-differences", lambda xp, near, far, between, m: (near - between) + (near - far) + m)
make.triplet("triplet-margin-first", lambda xp, near, far, between, m: m + (2 * near - (between + far)))
make.triplet("triplet-einsum", triplet, square=lambda xp, x, y: torch.einsum("bd,bd->b", x - y, x - y))
make.triplet("triplet-double-inside", triplet, square=lambda xp, x, y: (x.double() - y.double()).square().sum(-1))
make.triplet("triplet-batch-reversed", triplet, square=lambda xp, x, y: (x - y).flip(0).square().sum(-1).flip(0))


class _Length(torch.autograd.Function):
    """‖x‖ in double precision, with gradient x/‖x‖ and 0 at 0."""

    @staticmethod
    def forward(ctx, x):
        largest = x.double().abs().amax(1, keepdim=True)
        scale = torch.where((largest > 0) & largest.isfinite(), largest / (2 * torch.frexp(largest).mantissa), 1.0)
        length = (x.double() / scale).square().sum(1, keepdim=True).sqrt() * scale
        ctx.save_for_backward(x, length)
        return length[:, 0].to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable  # or else the slope of the saved length would be silently left out
    def backward(ctx, g):
        x, length = ctx.saved_tensors
        return (g[:, None] * torch.where(length == 0, 0.0, x / torch.where(length == 0, 1.0, length))).to(x.dtype)


make.pair("pair-double-length", lambda xp, x, y: _Length.apply(x - y))
make.pair("pair-reversed-difference", lambda xp, x, y: _Length.apply(y - x))

# -- a cosine whose gradient is made of 1/1e-8, which is beyond float16 ------------------------------------------------


class _Cosine(torch.autograd.Function):
    """Differentiated in the dtype of the inputs: ∞·0 and ∞ - ∞ at a zero vector in float16."""

    @staticmethod
    def forward(ctx, x, y):
        a, b = xp.wide(x), xp.wide(y)
        lengths = a.norm(dim=1), b.norm(dim=1)
        divisor = torch.clamp(lengths[0] * lengths[1], min=1e-8)
        ctx.save_for_backward(x, y, *lengths, divisor, (a * b).sum(1) / divisor)
        return (a * b).sum(1) / divisor

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        x, y, a, b, divisor, cosine = ctx.saved_tensors
        scale = (g / divisor).to(x.dtype)[:, None]
        sloped = a * b > 1e-8
        over, under = (torch.where(sloped, cosine * s / t, 0.0).to(x.dtype)[:, None] for s, t in ((b, a), (a, b)))
        return scale * y - scale * over * x, scale * x - scale * under * y


make.cosine("cosine-native-gradient", lambda xp, x, y: _Cosine.apply(x, y), wide=False)
make.cosine("cosine-twice-narrowed", lambda xp, x, y: _cosine(xp.wide(x), xp.wide(y)), wide=False)


def _cosine(x, y):
    return (x * y).sum(-1) / torch.clamp(x.norm(dim=1) * y.norm(dim=1), min=1e-8)


# -- norms by the textbook, whose squares underflow --------------------------------------------------------------------

make.pair("pair-plain-root", euclidean)
make.pair("pair-root-unless-equal", root_unless_equal)
make.pair("pair-vector-norm", lambda xp, x, y: torch.linalg.vector_norm(x - y, dim=-1))
make.pair("pair-vector-norm-native", lambda xp, x, y: torch.linalg.vector_norm(x - y, dim=-1), **native)
make.pair("pair-cdist", lambda xp, x, y: torch.cdist(x[:, None], y[:, None])[:, 0, 0])
