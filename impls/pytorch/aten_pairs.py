"""The passes of the losses of pairs in the batch, in torch's own operations: a block of similarities at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .aten_classes import blocks_of
from .aten_products import chunks, settle
from .common import wide_of
from .rows import cast, cotangents
from .similarity import GUARD, norm, unit

Gradients = Sequence[Tensor | None]
Rows = tuple[Tensor, ...]
LONGEST = 1e15
"""Lengths up to here and their products with a temperature or a scale are ordinary numbers."""


def _ordinary(*lengths: Tensor) -> bool:
    """Whether the guard takes no place of a product of two lengths, and none is out of the ordinary."""
    (least, most), (least_y, most_y) = (torch.stack(n.aminmax()).tolist() for n in lengths)
    return bool(least * least_y > 2 * GUARD and max(most, most_y) < LONGEST)


class _Similarities:
    """s_ij = f·sim(x_i, y_j) of the rows of x and y [B, D], with f = ``scale`` / ``temperature``, and their gradients.

    :meth:`blocks` gives them a block of rows at a time, which is room that may be written to; :meth:`add` takes the
    gradient by such a block. The gradient of a cosine is that of the units, less what would change their lengths; pairs
    whose lengths the guard takes the place of are added up apart, where there can be any.
    """

    def __init__(self, x: Tensor, y: Tensor, cosine: bool, scale: float, temperature: float, wanted: Sequence[bool]):
        self._x, self._y = (cast(each, wide_of(each)) for each in (x, y))
        self._cosine, self._scale, self._temperature = cosine, scale, temperature
        self._guarded = False
        self._sides = self._soft(self._x), self._y
        if cosine:
            self._lengths = norm(self._x), norm(self._y)
            self._sides = unit(self._x, self._lengths[0]), unit(self._y, self._lengths[1])
            self._guarded = not (x.is_cpu and _ordinary(*self._lengths))  # elsewhere to look would be to wait
        self._sums = [torch.zeros_like(self._x) if want else None for want in wanted]
        self._apart = [torch.zeros_like(self._x) if want and self._guarded else None for want in wanted]

    def _soft(self, x: Tensor) -> Tensor:
        return x * self._scale / self._temperature

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Rows, and their similarities with all [R, B]."""
        room = None
        for rows in chunks(len(self._x), self._y):
            x = self._x[rows] if self._cosine else self._sides[0][rows]
            room = x.new_empty((len(x), len(self._y))) if room is None else room[: len(x)]
            scores = torch.mm(x, self._y.T, out=room)
            if self._guarded:
                scores /= self._products(rows).clamp_min(GUARD)
                scores.copy_(self._soft(scores))
            elif self._cosine:
                by_x = (self._lengths[0][rows, None] * self._temperature) / self._scale
                for part in blocks_of(scores):
                    scores[part].div_(by_x[part]).div_(self._lengths[1])
            yield rows, scores

    def _products(self, rows: slice) -> Tensor:
        """Of the lengths [R, B]."""
        return self._lengths[0][rows, None] * self._lengths[1]

    def add(self, rows: slice, g: Tensor) -> None:
        """Take the gradient ``g`` [R, B] by the similarities of some rows."""
        if self._guarded:
            free = self._products(rows) > GUARD
            self._into(self._apart, rows, torch.where(free, 0, g), (self._x, self._y))
            g = torch.where(free, g, 0)
        self._into(self._sums, rows, g, self._sides)

    def _into(self, sums: Sequence[Tensor | None], rows: slice, g: Tensor, sides: tuple[Tensor, Tensor]) -> None:
        by_x, by_y = sums
        if by_x is not None:
            by_x[rows] = g @ sides[1]
        if by_y is not None:
            by_y.addmm_(g.T, sides[0][rows])

    def gradients(self) -> Gradients:
        """By x and y, in the accumulator's dtype, of all that was added; None where not wanted."""
        if not self._cosine:
            by_x, by_y = self._sums
            return None if by_x is None else self._soft(by_x), by_y
        return [self._of_cosine(side) if self._sums[side] is not None else None for side in (0, 1)]

    def _of_cosine(self, side: int) -> Tensor:
        by_unit, units, length = self._sums[side], self._sides[side], self._lengths[side][:, None]
        across = by_unit - (by_unit * units).sum(1, keepdim=True) * units
        found = across / torch.where(length == 0, 1, length)
        apart = self._apart[side]
        return self._soft(found if apart is None else found + apart / GUARD)


class InfoNce:
    """lse_j(s_ij) - s_ii of the similarities s_ij = sim(q_i, k_j)/τ."""

    def __init__(self, temperature: float, cosine: bool):
        self._temperature, self._cosine = temperature, cosine

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Rows]:
        """The losses [B]; keeps nothing."""
        return self._all(inputs, None, (False, False))[0], ()

    def both(self, inputs: Rows, among: Tensor | int, wanted: Sequence[bool]) -> tuple[Tensor, Gradients]:
        """The losses, and the gradients of their sum / ``among``."""
        query = inputs[0]
        return self._all(inputs, query.new_full((len(query),), 1 / among, dtype=torch.float64), wanted)

    def backward(self, inputs: Rows, kept: Rows, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        """From p_ij - δ_ij by the similarities of a query, p being their softmax."""
        query = inputs[0]
        _, found = self._all(inputs, cotangents(g, query, count).double().expand(len(query)), wanted)
        return [None if x is None else cast(x, query.dtype) for x in found]

    def _all(self, inputs: Rows, g: Tensor | None, wanted: Sequence[bool]) -> tuple[Tensor, Gradients]:
        """The losses, and the gradients with cotangents ``g`` [B], in the accumulator's dtype."""
        pairs = _Similarities(*inputs, self._cosine, 1.0, self._temperature, wanted)
        own = torch.arange(len(inputs[0]), device=inputs[0].device)
        losses = []
        for rows, scores in pairs.blocks():
            losses.append(settle(scores, own[rows], None if g is None else g[rows]))
            if g is not None:
                pairs.add(rows, scores)
        return torch.cat(losses), pairs.gradients()


class Clip:
    """Half of lse_j(s_ij) - s_ii and half of lse_j(s_ji) - s_ii of the similarities s_ij = f·sim(image_i, text_j)."""

    def __init__(self, scale: float, cosine: bool):
        self._scale, self._cosine = scale, cosine

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Rows]:
        """The losses [B]; keeps the largest of each row and column, the sums of the exponentials below it, and s_ii."""
        own = torch.empty(len(inputs[0]), dtype=wide_of(inputs[0]), device=inputs[0].device)
        shift, total, most, beside = (torch.zeros_like(own) for _ in range(4))
        most -= torch.inf
        for rows, scores in self._pairs(inputs, (False, False)).blocks():
            own[rows] = scores.diagonal(rows.start)
            for part in blocks_of(scores):
                x, here = scores[part], slice(rows.start + part.start, rows.start + part.start + len(scores[part]))
                largest = torch.maximum(most, x.amax(0))
                base = torch.where(largest == -torch.inf, 0, largest)  # of nothing but -inf so far
                beside.mul_((most - base).exp_()).add_((x - base).exp_().sum(0))
                most = largest
                shift[here] = x.amax(1)
                total[here] = x.sub_(shift[here, None]).exp_().sum(1)
        loss = 0.5 * (total.log() + (shift - own)) + 0.5 * (beside.log() + (most - own))
        return loss, (own, shift, total, most, beside)

    def backward(self, inputs: Rows, kept: Rows, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        """From half of p_ij - δ_ij by the similarities of an image, and half of those of a text."""
        own, shift, total, most, beside = kept
        pairs = self._pairs(inputs, wanted)
        half = 0.5 * cotangents(g, own, count).double().expand_as(own)
        by_row, by_column = (half / total).to(own.dtype)[:, None], (half / beside).to(own.dtype)
        at_own = half * ((own - shift).double().exp() / total - 1) + half * ((own - most).double().exp() / beside - 1)
        for rows, scores in pairs.blocks():
            for part in blocks_of(scores):
                x, here = scores[part], slice(rows.start + part.start, rows.start + part.start + len(scores[part]))
                of_column = (x - most).exp_().mul_(by_column)
                x.sub_(shift[here, None]).exp_().mul_(by_row[here]).add_(of_column)
            scores.diagonal(rows.start).copy_(at_own[rows])
            pairs.add(rows, scores)
        return [None if x is None else cast(x, inputs[0].dtype) for x in pairs.gradients()]

    def _pairs(self, inputs: Rows, wanted: Sequence[bool]) -> _Similarities:
        return _Similarities(*inputs, self._cosine, self._scale, 1.0, wanted)
