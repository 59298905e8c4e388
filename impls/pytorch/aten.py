"""The passes of the fused losses in torch's own operations: over blocks of rows that stay in the cache of a CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from . import losses as plain
from .aten_classes import CrossEntropy as CrossEntropy
from .aten_pairs import Clip as Clip
from .aten_pairs import InfoNce as InfoNce
from .aten_products import LinearCrossEntropy as LinearCrossEntropy
from .common import softplus, wide_of
from .rows import cotangents, gradients, per_example
from .similarity import norm, unit

Gradients = Sequence[Tensor | None]
Rows = tuple[Tensor, ...]


# -- ranking: hinge and BPR ------------------------------------------------------------------------------------------


def _score_difference(u: Tensor, d_pos: Tensor, d_neg: Tensor, scratch: Tensor | None) -> Rows:
    """⟨u, d⁻ - d⁺⟩, an equal evaluation of ⟨u, d⁻⟩ - ⟨u, d⁺⟩ that the specs declare."""
    return (torch.sub(d_neg, d_pos, out=scratch).mul_(u).sum(1),)


def _score_gradients(u: Tensor, d_pos: Tensor, d_neg: Tensor, slope: Tensor, _: object, *outs: Tensor | None) -> Rows:
    by_neg = torch.mul(u, slope, out=outs[2])
    return torch.sub(d_neg, d_pos, out=outs[0]).mul_(slope), torch.neg(by_neg, out=outs[1]), by_neg


class _Ranking:
    """``of(x)`` [B] of the difference x of two scores; ``slope(x)`` is its derivative."""

    def __init__(self, of: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]):
        self._of, self._slope = of, slope

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Rows]:
        (x,) = per_example(_score_difference, *inputs)
        return self._of(x), (x,)

    def backward(self, inputs: Rows, kept: Rows, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        (x,) = kept
        return gradients(_score_gradients, inputs, (self._slope(x).mul_(cotangents(g, x, count)),), wanted)


class Hinge(_Ranking):
    """max(0, margin + x)."""

    def __init__(self, margin: float):
        super().__init__(lambda x: (x + margin).relu_(), lambda x: (x > -margin).to(x.dtype))


class Bpr(_Ranking):
    """log(1 + exp(x))."""

    def __init__(self) -> None:
        super().__init__(softplus, torch.sigmoid)


# -- contrastive -----------------------------------------------------------------------------------------------------


class Contrastive:
    """y·d² + (1-y)·max(margin - d, 0)²."""

    def __init__(self, margin: float):
        self._margin = margin

    def forward(self, d: Tensor, y: Tensor) -> tuple[Tensor, Rows]:
        """The losses [B]; keeps max(margin - d, 0) and 1 - y."""
        distance = d.to(y.dtype)
        short, other = (self._margin - distance).relu_(), 1 - y
        return torch.square(distance).mul_(y).add_(torch.square(short).mul_(other)), (short, other)

    def backward(self, inputs: Rows, kept: Rows, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        """∂/∂d = 2·y·d - 2·(1-y)·max(margin - d, 0)."""
        (d, y), (short, other) = inputs, kept
        return ((y * d).sub_(short * other).mul_(2 * cotangents(g, d, count)).to(d.dtype),)


def _distances(x1: Tensor, x2: Tensor, _: object) -> Rows:
    return (torch.cdist(x1[:, None], x2[:, None])[:, 0, 0],)


def _along_difference(x1: Tensor, x2: Tensor, factor: Tensor, _: object, *outs: Tensor | None) -> Rows:
    by_x1 = torch.sub(x1, x2, out=outs[0]).mul_(factor)
    return by_x1, torch.neg(by_x1, out=outs[1])


def _distance(x1: Tensor, x2: Tensor) -> Tensor:
    """‖x1 - x2‖₂ [B]; the few rows whose squares overflow or underflow are scaled."""
    as_it_is = x1.dtype == wide_of(x1) and x1.is_contiguous() and x2.is_contiguous()
    (d,) = _distances(x1, x2, None) if as_it_is else per_example(_distances, x1, x2)
    least = 2.0**-450 if d.dtype == torch.float64 else 2.0**-40
    rows = (~((d > least) & (d < torch.inf))).nonzero()[:, 0]
    if len(rows):
        d[rows] = norm(x1[rows].to(d.dtype) - x2[rows].to(d.dtype))
    return d


class ContrastivePair:
    """y·d² + (1-y)·max(margin - d, 0)² of d = ‖x1 - x2‖₂."""

    def __init__(self, margin: float):
        self._margin = margin

    def forward(self, x1: Tensor, x2: Tensor, y: Tensor) -> tuple[Tensor, Rows]:
        """The losses [B]; keeps the distances."""
        d = _distance(x1, x2)
        return plain.contrastive_terms(d, y, self._margin), (d,)

    def backward(self, inputs: Rows, kept: Rows, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        """∂/∂x1 = (2·y·d - 2·(1-y)·max(margin - d, 0)) · (x1 - x2)/d, and 0 where d = 0."""
        (x1, x2, y), (d,) = inputs, kept
        g = 2 * cotangents(g, d, count)
        push = (self._margin - d).relu_().mul_(1 - y)
        factor = (y - push / d).mul_(g)
        by_x1, by_x2 = gradients(_along_difference, (x1, x2), (factor,), wanted)
        close = (d < 2.0**-60).nonzero()[:, 0]  # where push / d is too large a number, or 0/0
        if len(close):
            difference = x1[close].to(d.dtype) - x2[close].to(d.dtype)
            pull, push = y[close, None] * difference, push[close, None] * unit(difference, d[close])
            rows = (g.expand_as(d)[close, None] * (pull - push)).to(x1.dtype)
            for by, sign in ((by_x1, 1), (by_x2, -1)):
                if by is not None:
                    by[close] = sign * rows
        return by_x1, by_x2


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


class LabeledTriplet:
    """2‖near - anc‖² - ‖anc - far‖² - ‖near - far‖² + margin, where near is the positive if the label is 1."""

    def __init__(self, margin: float):
        self._margin = margin

    def forward(self, anc: Tensor, pos: Tensor, neg: Tensor, label: Tensor) -> tuple[Tensor, Rows]:
        """The losses [B], NaN where the label is; keeps where the label is 1."""
        ap, an, pn = per_example(_three_squared_distances, anc, pos, neg)
        same = label == 1
        near, far = torch.where(same, ap, an), torch.where(same, an, ap)
        loss = near.mul_(2).sub_(far).sub_(pn).add_(self._margin)
        return torch.where(label.isnan(), label, loss), (same,)

    def backward(self, inputs: Rows, kept: Rows, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        """The gradients by anchor, positive and negative that are wanted, from the three differences."""
        (*embeddings, label), (same,) = inputs, kept
        g = cotangents(g, label, count)
        once, twice = (-2 * g).expand_as(label), (4 * g).expand_as(label)
        factors = (torch.where(same, twice, once), torch.where(same, once, twice), once)
        return gradients(_triplet_gradients, embeddings, factors, wanted)
