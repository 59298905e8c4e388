"""The passes of losses whose logits are products of two inputs, in torch's own operations: a block of logits at a time.

A block is made, becomes probabilities, then its own gradient, all in the same room, and goes into the gradients of the
inputs by two products more. Where gradients are asked for of one number, they are made with the losses: three products
instead of the four that it takes to make the logits again. A block holds half of what the gradients do, or as much as
stays in the cache, whichever is more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .aten_classes import CACHED, blocks_of
from .rows import cast, cotangents

Gradients = Sequence[Tensor | None]
Rows = tuple[Tensor, ...]


def chunks(count: int, across: Tensor) -> Iterator[slice]:
    """Blocks of ``count`` rows of logits, made with ``across`` [C, D]."""
    classes, width = across.shape
    rows = max(1, CACHED * torch.get_num_threads() // max(1, classes), width // 2)
    return (slice(start, min(start + rows, count)) for start in range(0, count, rows))


def settle(scores: Tensor, index: Tensor, g: Tensor | None) -> Tensor:
    """lse(x) - x_y [R] of the logits x [R, C] and the classes y = ``index``; x becomes g·(p - δ_y), if there is a g."""
    parts = []
    for rows in blocks_of(scores):
        x, column = scores[rows], index[rows, None]
        x -= x.amax(1, keepdim=True)
        at_y = x.gather(1, column)
        total = x.exp_().sum(1, keepdim=True)
        parts.append(total.log() - at_y)
        if g is not None:
            slope = g[rows, None].double()
            x *= (slope / total).to(x.dtype)
            x.scatter_(1, column, (slope * (at_y.double().exp() / total - 1)).to(x.dtype))
    return torch.cat(parts)[:, 0]


class LinearCrossEntropy:
    """lse(x) - x_y of the logits x_c = ⟨h, w_c⟩; the class of a row is -1 where it is ignored.

    Beside the hidden states and the layer a pass takes the class and what a row counts, both [B]: 1, 0 where it is
    ignored, NaN where its class is none. Ignored rows are left out of everything, or count as rows of zeros.
    """

    def forward(self, hidden: Tensor, weight: Tensor, index: Tensor, share: Tensor) -> tuple[Tensor, Rows]:
        """The losses [B]; keeps nothing."""
        return self._all((hidden, weight, index, share), None, (False, False))[0], ()

    def both(self, inputs: Rows, among: Tensor | int, wanted: Sequence[bool]) -> tuple[Tensor, Gradients]:
        """The losses, and the gradients of their sum / ``among``."""
        share = inputs[-1]
        return self._all(inputs, share.double() / among, wanted)

    def backward(self, inputs: Rows, kept: Rows, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        """Σ_c (p_c - δ_y)·w_c by a hidden state, the sum of (p_c - δ_y)·h by a row of the layer."""
        share = inputs[-1]
        _, found = self._all(inputs, cotangents(g, share, count).double() * share, wanted)
        return [None if x is None else cast(x, inputs[0].dtype) for x in found]

    def picked(self, index: Tensor) -> Tensor | None:
        """The numbers of the rows that are not ignored; None for all rows."""
        found = (index >= 0).nonzero()[:, 0]
        return None if len(found) == len(index) else found

    def settle(self, scores: Tensor, index: Tensor, g: Tensor | None) -> Tensor:
        """As the function of that name."""
        return settle(scores, index, g)

    def _all(self, inputs: Rows, g: Tensor | None, wanted: Sequence[bool]) -> tuple[Tensor, Gradients]:
        """The losses, and the gradients with cotangents ``g`` [B], in the accumulator's dtype."""
        hidden, weight, index, share = inputs
        w = cast(weight, share.dtype)
        loss = torch.zeros_like(share)
        by_hidden, by_weight = (
            torch.zeros(x.shape, dtype=w.dtype, device=w.device) if want else None
            for x, want in zip((hidden, weight), wanted, strict=True)
        )
        picked, room = self.picked(index), None
        for chunk in chunks(len(index if picked is None else picked), w):
            rows = chunk if picked is None else picked[chunk]
            counted = index[rows] >= 0
            h = torch.where(counted[:, None], cast(hidden[rows], w.dtype), 0)
            room = h.new_empty((len(h), len(w))) if room is None else room[: len(h)]
            scores = torch.mm(h, w.T, out=room)
            losses = share[rows] * self.settle(scores, index[rows], None if g is None else g[rows])
            loss[rows] = torch.where(counted, losses, 0)
            if by_hidden is not None:
                by_hidden[rows] = scores @ w
            if by_weight is not None:
                by_weight.addmm_(scores.T, h)
        return loss, (by_hidden, by_weight)
