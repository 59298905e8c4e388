"""The passes of the losses over classes in torch's own operations: over blocks of rows that stay in a core's cache.

Most logits are of a size that exp takes as they are: Σ exp(x_c) / exp(x_y) needs no largest logit, and an offset that
all share cancels. That saves two of the five times that a block is gone over. Rows whose exponentials leave the range
are taken relative to their largest logit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .rows import cotangents

CACHED = 1 << 18
"""Numbers of a block for each thread: 1 MiB of float32, half of a core's second-level cache."""
LARGEST = {torch.float32: 1e15, torch.float64: 1e150}
"""What exponentials may be at most, and their reciprocals, so that products and quotients of them are ordinary."""
Gradients = Sequence[Tensor | None]
Rows = tuple[Tensor, ...]


def _height(x: Tensor) -> int:
    """Rows of a block; elsewhere than on the CPU all: a launch costs more than its traffic."""
    return max(1, CACHED * torch.get_num_threads() // max(1, x.shape[1]) if x.is_cpu else len(x))


def blocks_of(x: Tensor) -> Iterator[slice]:
    """Blocks of the rows [B, C] of a loss over classes."""
    return (slice(start, start + _height(x)) for start in range(0, len(x), _height(x)))


def _room(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Room for a block in the accumulator's dtype."""
    return x.new_empty((min(_height(x), len(x)), x.shape[1]), dtype=dtype)


def _ordinary(total: Tensor, own: Tensor) -> Tensor:
    """Where exponentials of the logits as they are say all: none overflows, and what underflows is nothing beside."""
    most = LARGEST[total.dtype]
    return (total >= 0.5) & (total <= most) & (own >= 1 / most)


def _exps(x: Tensor, shift: Tensor | None, out: Tensor) -> Tensor:
    """exp(x - shift) in ``out``, which may be x."""
    if shift is not None:
        return torch.sub(x, shift[:, None], out=out).exp_()
    return torch.exp(x, out=out)


class CrossEntropy:
    """(1-ε)·w_y·(L - x_y) + ε·mean_c(w_c·(L - x_c)) + z·L² of x = s·tanh(logits/s), where s > 0, and L = lse(x).

    ε is ``smoothing``, which does not come with a square; ``weight`` [C] has all w in the accumulator's dtype, of which
    None is ones. Beside the logits a pass takes the class of each row, -1 where it is ignored, and w_y, both [B]: 0
    where the row is ignored, NaN where its class is none.
    """

    def __init__(self, smoothing: float = 0.0, weight: Tensor | None = None, z: float = 0.0, cap: float = 0.0):
        self._smoothing, self._weight, self._z, self._cap = smoothing, weight, z, cap

    def forward(self, logits: Tensor, index: Tensor, share: Tensor) -> tuple[Tensor, Rows]:
        """The losses [B]; keeps what is taken off the logits of a row, the sum of its exponentials, and that of y."""
        shift, total, own = (torch.zeros_like(share) for _ in range(3))
        if not self._smoothing:
            self._as_they_are(logits, index, total, own)
        log = ((total.double() - own) / own.double()).log1p()  # a quotient near 1 would be rounded once more
        even = torch.zeros_like(log)
        far = (~(_ordinary(total, own) | (index < 0))).nonzero()[:, 0]
        room = _room(logits, share.dtype)
        for rows in far.split(_height(logits)):
            x = self._taken(logits[rows], room[: len(rows)], writable=True)
            shift[rows] = largest = x.amax(1)
            x -= largest[:, None]
            at_y = x.gather(1, index[rows, None])[:, 0]
            if self._smoothing:
                even[rows] = (x.sum(1) if self._weight is None else x @ self._weight).double()
            total[rows] = sums = x.exp_().sum(1)
            own[rows] = at_y.exp()
            log[rows] = sums.double().log() - at_y
        loss = share * log
        if self._smoothing:
            smooth = (total.double().log() * self._weights(logits) - even) / logits.shape[1]
            loss = (1 - self._smoothing) * loss + self._smoothing * smooth
        if self._z:
            loss += self._z * (total.double().log() + shift) ** 2
        return torch.where(index < 0, 0, loss).to(share.dtype), (shift, total, own)

    def backward(self, inputs: Rows, kept: Rows, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        """p·(w_y·(1-ε) + ε·mean(w) + 2·z·L) - (1-ε)·w_y·δ_y - ε·w/C, times the slope of the cap; 0 where ignored."""
        (logits, index, share), (shift, total, own) = inputs, kept
        column = index.clamp_min(0)[:, None]
        g = cotangents(g, share, count).double()
        hard, spread = (1 - self._smoothing) * g * share, g * (self._smoothing / logits.shape[1])
        of_p = hard + spread * self._weights(logits)
        if self._z:
            of_p = of_p + hard * (2 * self._z * (total.double().log() + shift))
        evenly = spread if self._weight is None else spread * self._weight[column[:, 0]]
        # p - 1 of a sure class loses nothing here
        at_y = (of_p * (own / total.double()) - hard - evenly).to(share.dtype)[:, None]
        by_p, spread = (of_p / total).to(share.dtype)[:, None], spread.to(share.dtype).expand_as(share)[:, None]
        far = bool((shift != 0).any())
        result, narrow = logits.new_empty(logits.shape), logits.dtype != share.dtype
        room, slope = _room(logits, share.dtype), _room(logits, share.dtype) if self._cap else None
        for rows in blocks_of(logits):
            height = len(share[rows])
            x = self._taken(logits[rows], room[:height], slope)
            out = _exps(x, shift[rows] if far else None, room[:height] if narrow else result[rows])
            out.mul_(by_p[rows])
            if self._smoothing:
                out.sub_(spread[rows] if self._weight is None else spread[rows] * self._weight)
            out.scatter_(1, column[rows], at_y[rows])
            if slope is not None:
                out.mul_(slope[:height])
            if narrow:
                result[rows] = out
        result[(index < 0).nonzero()[:, 0]] = 0
        return (result,)

    def _as_they_are(self, logits: Tensor, index: Tensor, total: Tensor, own: Tensor) -> None:
        """``total`` and ``own`` of rows that are relative to nothing: all, unless most of the first block are far."""
        column, room = index.clamp_min(0)[:, None], _room(logits, total.dtype)
        for rows in blocks_of(logits):
            out = room[: len(total[rows])]
            x = _exps(self._taken(logits[rows], out), None, out)
            torch.sum(x, 1, out=total[rows])
            torch.gather(x, 1, column[rows], out=own[rows, None])
            if rows.start == 0 and _ordinary(total[rows], own[rows]).double().mean() < 0.5:
                return

    def _taken(self, x: Tensor, out: Tensor, slope: Tensor | None = None, writable: bool = False) -> Tensor:
        """The logits of a block in the accumulator's dtype, capped; they are in ``out``, or are x itself.

        ``slope`` is where the derivative of the cap has to go.
        """
        if self._cap:
            t = out.copy_(x).div_(self._cap).tanh_()
            if slope is not None:
                one = t.new_ones(())
                torch.addcmul(one, t, t, value=-1, out=slope[: len(t)])
            return t.mul_(self._cap)
        return out.copy_(x) if writable or x.dtype != out.dtype else x

    def _weights(self, logits: Tensor) -> Tensor | int:
        """The sum of all weights."""
        return logits.shape[1] if self._weight is None else self._weight.sum()
