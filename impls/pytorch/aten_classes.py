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
        self.smoothing, self.weight, self.z, self.cap = smoothing, weight, z, cap

    def forward(self, logits: Tensor, index: Tensor, share: Tensor) -> tuple[Tensor, Rows]:
        """The losses [B]; keeps what is taken off the logits of a row, the sum of its exponentials, and that of y."""
        shift, total, own, log, even = self.sums(logits, index, share.dtype)
        loss = share * log
        if self.smoothing:
            smooth = (total.double().log() * self._weights(logits) - even) / logits.shape[1]
            loss = (1 - self.smoothing) * loss + self.smoothing * smooth
        if self.z:
            loss = loss + self.z * (total.double().log() + shift) ** 2
        return torch.where(index < 0, 0, loss).to(share.dtype), (shift, total, own)

    def backward(self, inputs: Rows, kept: Rows, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        """p·(w_y·(1-ε) + ε·mean(w) + 2·z·L) - (1-ε)·w_y·δ_y - ε·w/C, times the slope of the cap; 0 where ignored."""
        (logits, index, share), (shift, total, own) = inputs, kept
        g = cotangents(g, share, count).double()
        hard, spread = (1 - self.smoothing) * g * share, (g * (self.smoothing / logits.shape[1])).expand_as(share)
        of_p = hard + spread * self._weights(logits)
        if self.z:
            of_p = of_p + hard * (2 * self.z * (total.double().log() + shift))
        evenly = spread if self.weight is None else spread * self.weight[index.clamp_min(0)]
        at_y = of_p * (own / total.double()) - hard - evenly  # p - 1 of a sure class loses nothing here
        result = torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
        rows = (x.to(share.dtype).contiguous() for x in (of_p / total, spread, at_y))
        self.slopes(logits, index, shift, *rows, result)
        return (result,)

    def sums(self, logits: Tensor, index: Tensor, wide: torch.dtype) -> Rows:
        """Of each row what is taken off x, Σ exp(x - that), exp(x_y - that), L - x_y and Σ w·(x - that); [B] each.

        The last is 0 without smoothing. In the dtype of the accumulator, ``wide``, or in float64.
        """
        shift, total, own = (torch.zeros(len(logits), dtype=wide, device=logits.device) for _ in range(3))
        if not self.smoothing:
            self._as_they_are(logits, index, total, own)
        log = ((total.double() - own) / own.double()).log1p()  # a quotient near 1 would be rounded once more
        even = torch.zeros_like(log)
        far = (~(_ordinary(total, own) | (index < 0))).nonzero()[:, 0]
        room = _room(logits, wide)
        for rows in far.split(_height(logits)):
            x = self._taken(logits[rows], room[: len(rows)], writable=True)
            shift[rows] = largest = x.amax(1)
            x -= largest[:, None]
            at_y = x.gather(1, index[rows, None].clamp_min(0))[:, 0]
            if self.smoothing:
                even[rows] = (x.sum(1) if self.weight is None else x @ self.weight).double()
            total[rows] = each = x.exp_().sum(1)
            own[rows] = at_y.exp()
            log[rows] = each.double().log() - at_y
        return shift, total, own, log, even

    def slopes(
        self, logits: Tensor, index: Tensor, shift: Tensor, by_exp: Tensor, spread: Tensor, at_y: Tensor, out: Tensor
    ) -> None:
        """Write exp(x - shift)·by_exp - spread·w, and at_y at the class, times the slope of the cap; 0 where ignored.

        All but the logits and ``out`` [B, C] are [B].
        """
        column, narrow = index.clamp_min(0)[:, None], logits.dtype != shift.dtype
        far = bool((shift != 0).any())
        room, slope = _room(logits, shift.dtype), _room(logits, shift.dtype) if self.cap else None
        for rows in blocks_of(logits):
            height = len(shift[rows])
            x = self._taken(logits[rows], room[:height], slope)
            found = _exps(x, shift[rows] if far else None, room[:height] if narrow else out[rows])
            found.mul_(by_exp[rows, None])
            if self.smoothing:
                found.sub_(spread[rows, None] if self.weight is None else spread[rows, None] * self.weight)
            found.scatter_(1, column[rows], at_y[rows, None])
            if slope is not None:
                found.mul_(slope[:height])
            if narrow:
                out[rows] = found
        out[(index < 0).nonzero()[:, 0]] = 0

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
        if self.cap:
            t = out.copy_(x).div_(self.cap).tanh_()
            if slope is not None:
                one = t.new_ones(())
                torch.addcmul(one, t, t, value=-1, out=slope[: len(t)])
            return t.mul_(self.cap)
        return out.copy_(x) if writable or x.dtype != out.dtype else x

    def _weights(self, logits: Tensor) -> Tensor | int:
        """The sum of all weights."""
        return logits.shape[1] if self.weight is None else self.weight.sum()
