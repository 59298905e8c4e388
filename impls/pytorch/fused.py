"""The losses in PyTorch, moving the fewest bytes: ``from lossmark.impls.pytorch.fused import bpr``.

Each is a ``torch.autograd.Function`` over blocks of rows that stay in the cache: forward reads the inputs once and
keeps a number or three per example; backward reads them once more and writes the gradients from the analytic
derivative. Nothing of the size of an input is made beside the gradients that are asked for. Arguments, results and
errors are those of :mod:`lossmark.impls.pytorch.losses`, which stands in where there is nothing to gain:
``similarity="cosine"``, ``torch.compile`` (which fuses by itself), the hinge of small inputs, and second derivatives,
for which backward differentiates the plain formula.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from lossmark import Implementation, __version__
from lossmark.arguments import check_margin, check_ranking, check_reduction, check_tensors

from . import losses as plain
from .common import checked_label, reduce
from .rows import again, each, few, gradients, per_example, wide_of

impl = Implementation("torch-fused", framework="torch", version=__version__)

Kernel = Callable[..., Tensor]
Rows = tuple[Tensor, ...]


# -- ranking: hinge and BPR ------------------------------------------------------------------------------------------


def _score_difference(u: Tensor, d_pos: Tensor, d_neg: Tensor, scratch: Tensor | None) -> Rows:
    """⟨u, d⁻ - d⁺⟩, an equal evaluation of ⟨u, d⁻⟩ - ⟨u, d⁺⟩ that the specs declare."""
    return (torch.sub(d_neg, d_pos, out=scratch).mul_(u).sum(1),)


def _score_gradients(u: Tensor, d_pos: Tensor, d_neg: Tensor, slope: Tensor, _: object, *outs: Tensor | None) -> Rows:
    by_neg = torch.mul(u, slope, out=outs[2])
    return torch.sub(d_neg, d_pos, out=outs[0]).mul_(slope), torch.neg(by_neg, out=outs[1]), by_neg


class _Ranking(torch.autograd.Function):
    """``of(x)`` [B] of the difference x of two scores; ``slope(x)`` is its derivative, ``formula`` the plain loss."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, u: Tensor, d_pos: Tensor, d_neg: Tensor, of: Kernel, slope: Kernel, formula: Kernel, how: str
    ) -> Tensor:
        (x,) = per_example(_score_difference, u, d_pos, d_neg)
        ctx.save_for_backward(u, d_pos, d_neg, x)
        ctx.slope, ctx.formula, ctx.how = slope, formula, how
        return reduce(of(x), how, u.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, g: Tensor) -> tuple[Tensor | None, ...]:
        u, d_pos, d_neg, x = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *again(lambda *x: ctx.formula(*x, reduction=ctx.how), (u, d_pos, d_neg), g), *[None] * 4
        slope = ctx.slope(x).mul_(each(g, u, ctx.how))
        return *gradients(_score_gradients, (u, d_pos, d_neg), (slope,), ctx.needs_input_grad[:3]), *[None] * 4


@impl.loss
def pairwise_hinge(
    u: Tensor, d_pos: Tensor, d_neg: Tensor, *, margin: float = 1.0, similarity: str = "dot", reduction: str = "mean"
) -> Tensor:
    """max(0, margin - ⟨u,d⁺⟩ + ⟨u,d⁻⟩); embeddings [B, D] → [B] under none, [] under sum and mean."""
    if similarity != "dot" or torch.compiler.is_compiling() or few(u):
        return plain.pairwise_hinge(u, d_pos, d_neg, margin=margin, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    check_margin(margin)
    of, slope = lambda x: (x + margin).relu_(), lambda x: (x > -margin).to(x.dtype)
    formula = functools.partial(plain.pairwise_hinge, margin=margin)
    return _Ranking.apply(u, d_pos, d_neg, of, slope, formula, reduction)


@impl.loss
def bpr(u: Tensor, d_pos: Tensor, d_neg: Tensor, *, similarity: str = "dot", reduction: str = "mean") -> Tensor:
    """log(1 + exp(⟨u,d⁻⟩ - ⟨u,d⁺⟩)); embeddings [B, D] → [B] under none, [] under sum and mean."""
    if similarity != "dot" or torch.compiler.is_compiling():
        return plain.bpr(u, d_pos, d_neg, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    return _Ranking.apply(u, d_pos, d_neg, plain.softplus, torch.sigmoid, plain.bpr, reduction)


# -- contrastive -----------------------------------------------------------------------------------------------------


class _Contrastive(torch.autograd.Function):
    """y·d² + (1-y)·max(margin - d, 0)²."""

    @staticmethod
    def forward(ctx: FunctionCtx, d: Tensor, y: Tensor, margin: float, how: str) -> Tensor:
        distance = d.to(y.dtype)
        short, other = (margin - distance).relu_(), 1 - y
        ctx.save_for_backward(d, y, short, other)
        ctx.margin, ctx.how = margin, how
        return reduce(torch.square(distance).mul_(y).add_(torch.square(short).mul_(other)), how, d.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, g: Tensor) -> tuple[Tensor | None, ...]:
        d, y, short, other = ctx.saved_tensors
        if torch.is_grad_enabled():
            formula = functools.partial(plain.contrastive, margin=ctx.margin, reduction=ctx.how)
            return *again(lambda d: formula(d, y), (d,), g), None, None, None
        return (y * d).sub_(short * other).mul_(2 * each(g, d, ctx.how)).to(d.dtype), None, None, None


@impl.loss
def contrastive(d: Tensor, y: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """y·d² + (1-y)·max(margin - d, 0)²; distances and labels [B] → [B] under none, [] under sum and mean."""
    if torch.compiler.is_compiling():
        return plain.contrastive(d, y, margin=margin, reduction=reduction)
    (batch,) = check_tensors({"d": d}, rank=1)
    check_margin(margin)
    check_reduction(reduction, batch)
    return _Contrastive.apply(d, checked_label("y", y, batch, wide_of(d), soft=True), margin, reduction)


def _squared_distance(x1: Tensor, x2: Tensor, scratch: Tensor | None) -> Rows:
    return (torch.sub(x1, x2, out=scratch).square_().sum(1),)


def _along_difference(x1: Tensor, x2: Tensor, factor: Tensor, _: object, *outs: Tensor | None) -> Rows:
    by_x1 = torch.sub(x1, x2, out=outs[0]).mul_(factor)
    return by_x1, torch.neg(by_x1, out=outs[1])


def _distance(x1: Tensor, x2: Tensor) -> Tensor:
    """‖x1 - x2‖₂ [B]; the few rows whose squares overflow or underflow are scaled."""
    (squared,) = per_example(_squared_distance, x1, x2)
    least = 2.0**-900 if squared.dtype == torch.float64 else 2.0**-80
    rows = (~((squared > least) & (squared < torch.inf))).nonzero()[:, 0]
    d = squared.sqrt_()
    if len(rows):
        d[rows] = plain.norm(x1[rows].to(d.dtype) - x2[rows].to(d.dtype))
    return d


class _ContrastivePair(torch.autograd.Function):
    """y·d² + (1-y)·max(margin - d, 0)² of d = ‖x1 - x2‖₂."""

    @staticmethod
    def forward(ctx: FunctionCtx, x1: Tensor, x2: Tensor, y: Tensor, margin: float, how: str) -> Tensor:
        d = _distance(x1, x2)
        ctx.save_for_backward(x1, x2, y, d)
        ctx.margin, ctx.how = margin, how
        return reduce(plain.contrastive_terms(d, y, margin), how, x1.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, g: Tensor) -> tuple[Tensor | None, ...]:
        """∂/∂x1 = (2·y·d - 2·(1-y)·max(margin - d, 0)) · (x1 - x2)/d, and 0 where d = 0."""
        x1, x2, y, d = ctx.saved_tensors
        if torch.is_grad_enabled():
            formula = functools.partial(plain.contrastive_pair, margin=ctx.margin, reduction=ctx.how)
            return *again(lambda x1, x2: formula(x1, x2, y), (x1, x2), g), None, None, None
        g = 2 * each(g, x1, ctx.how)
        push = (ctx.margin - d).relu_().mul_(1 - y)
        factor = (y - push / d).mul_(g)
        by_x1, by_x2 = gradients(_along_difference, (x1, x2), (factor,), ctx.needs_input_grad[:2])
        close = (d < 2.0**-60).nonzero()[:, 0]  # where push / d is too large a number, or 0/0
        if len(close):
            difference = x1[close].to(d.dtype) - x2[close].to(d.dtype)
            pull, push = y[close, None] * difference, push[close, None] * plain.unit(difference, d[close])
            rows = (g.expand_as(d)[close, None] * (pull - push)).to(x1.dtype)
            for by, sign in ((by_x1, 1), (by_x2, -1)):
                if by is not None:
                    by[close] = sign * rows
        return by_x1, by_x2, None, None, None


@impl.loss
def contrastive_pair(x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """The contrastive loss of d = ‖x1 - x2‖₂; embeddings [B, D], labels [B] → [B] or []."""
    if torch.compiler.is_compiling():
        return plain.contrastive_pair(x1, x2, y, margin=margin, reduction=reduction)
    batch, _ = check_tensors({"x1": x1, "x2": x2}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    y = checked_label("y", y, batch, wide_of(x1), soft=True)
    return _ContrastivePair.apply(x1, x2, y, margin, reduction)


# -- labeled triplet ---------------------------------------------------------------------------------------------------


def _three_squared_distances(anc: Tensor, pos: Tensor, neg: Tensor, scratch: Tensor | None) -> Rows:
    pairs = ((anc, pos), (anc, neg), (pos, neg))
    return tuple(torch.sub(x, y, out=scratch).square_().sum(1) for x, y in pairs)


def _triplet_gradients(
    anc: Tensor, pos: Tensor, neg: Tensor, by_ap: Tensor, by_an: Tensor, by_pn: Tensor, scratch: Tensor | None,
    *outs: Tensor | None,
) -> Rows:  # fmt: skip
    """Of by_ap·‖anc-pos‖²/2 + by_an·‖anc-neg‖²/2 + by_pn·‖pos-neg‖²/2."""
    from_neg = torch.sub(anc, neg, out=scratch).mul_(by_an)
    by_anc = torch.sub(anc, pos, out=outs[0]).mul_(by_ap)
    by_pos = torch.sub(pos, neg, out=outs[1]).mul_(by_pn)
    by_neg = torch.add(from_neg, by_pos, out=outs[2]).neg_()
    by_pos.sub_(by_anc)
    return by_anc.add_(from_neg), by_pos, by_neg


class _Triplet(torch.autograd.Function):
    """2‖near - anc‖² - ‖anc - far‖² - ‖near - far‖² + margin, where near is the positive if the label is 1."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, anc: Tensor, pos: Tensor, neg: Tensor, label: Tensor, margin: float, how: str
    ) -> Tensor:
        ap, an, pn = per_example(_three_squared_distances, anc, pos, neg)
        same = label == 1
        ctx.save_for_backward(anc, pos, neg, label, same)
        ctx.margin, ctx.how = margin, how
        near, far = torch.where(same, ap, an), torch.where(same, an, ap)
        loss = near.mul_(2).sub_(far).sub_(pn).add_(margin)
        return reduce(torch.where(label.isnan(), label, loss), how, anc.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, g: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, label, same = ctx.saved_tensors
        if torch.is_grad_enabled():
            formula = functools.partial(plain.labeled_triplet, margin=ctx.margin, reduction=ctx.how)
            return *again(lambda *x: formula(*x, label), inputs, g), None, None, None
        g = each(g, label, ctx.how)
        once, twice = (-2 * g).expand_as(label), (4 * g).expand_as(label)
        factors = (torch.where(same, twice, once), torch.where(same, once, twice), once)
        return *gradients(_triplet_gradients, inputs, factors, ctx.needs_input_grad[:3]), None, None, None


@impl.loss
def labeled_triplet(
    anc: Tensor, pos: Tensor, neg: Tensor, label: Tensor, *, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """label=1: 2‖pos-anc‖² - ‖pos-neg‖² - ‖anc-neg‖² + margin, label=0 with pos and neg swapped. Not clamped at 0."""
    if torch.compiler.is_compiling():
        return plain.labeled_triplet(anc, pos, neg, label, margin=margin, reduction=reduction)
    batch, _ = check_tensors({"anc": anc, "pos": pos, "neg": neg}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    label = checked_label("label", label, batch, wide_of(anc), soft=False)
    return _Triplet.apply(anc, pos, neg, label, margin, reduction)
