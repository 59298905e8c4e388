"""The passes of the fused losses on a GPU: each is one launch of a kernel of :mod:`.kernels`, or :mod:`.class_kernels`.

The pairs of the batch have no kernels of their own: their passes are those of :mod:`.aten`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor

from . import aten_classes, aten_products, class_kernels, kernels
from .aten_pairs import Clip as Clip
from .aten_pairs import InfoNce as InfoNce
from .common import wide_of

TILE = 2048
"""Numbers of one input that a program has in its registers at a time; half as many of float64."""
WIDEST = 1024
"""Dimensions that it takes at once."""
EXAMPLES = 1024
"""Examples of a program, where an example is a single number."""
Gradients = Sequence[Tensor | None]
Kept = tuple[Tensor, ...]


def _over_rows(kernel: Any, rows: Tensor, *arguments: object, **constants: object) -> None:
    """Launch a kernel that takes B and D after ``arguments`` of tensors, over embeddings [B, D]."""
    columns = min(WIDEST, triton.next_power_of_2(max(1, rows.shape[1])))
    tile = TILE // 2 if rows.dtype == torch.float64 else TILE
    _launch(kernel, rows, max(1, tile // columns), *arguments, COLUMNS=columns, **constants)


def _launch(kernel: Any, over: Tensor, rows: int, *arguments: object, **constants: object) -> None:
    if len(over):  # a grid of nothing is an error
        with torch.cuda.device_of(over):
            kernel[(triton.cdiv(len(over), rows),)](*arguments, ROWS=rows, **constants)


def _strides(*inputs: Tensor) -> list[int]:
    return [stride for x in inputs for stride in x.stride()]


def _by_example(g: Tensor) -> int:
    """The stride of a cotangent [B]; 0 of one that all examples share."""
    return g.stride(0) if g.ndim else 0


def _numbers(like: Tensor, count: int) -> list[Tensor]:
    """Room for numbers per example, in the accumulator's dtype."""
    return [torch.empty(len(like), dtype=wide_of(like), device=like.device) for _ in range(count)]


def _gradients(inputs: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    return [
        torch.empty(x.shape, dtype=x.dtype, device=x.device) if want else None
        for x, want in zip(inputs, wanted, strict=True)
    ]


class _Ranking:
    """The hinge or log(1 + exp(x)) of x = ⟨u, d⁻ - d⁺⟩."""

    def __init__(self, hinge: bool, margin: float):
        self._hinge, self._margin = hinge, margin

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Kept]:
        u = inputs[0]
        loss, x = _numbers(u, 2)
        arguments = (*inputs, loss, x, *u.shape, *_strides(*inputs), self._margin)
        _over_rows(kernels.ranking_forward, u, *arguments, HINGE=self._hinge)
        return loss, (x,)

    def backward(self, inputs: Kept, kept: Kept, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        u, found = inputs[0], _gradients(inputs, wanted)
        arguments = (*inputs, *kept, g, *found, *u.shape, *_strides(*inputs), _by_example(g), count, self._margin)
        _over_rows(kernels.ranking_backward, u, *arguments, HINGE=self._hinge)
        return found


class Hinge(_Ranking):
    """max(0, margin + x)."""

    def __init__(self, margin: float):
        super().__init__(True, margin)


class Bpr(_Ranking):
    """log(1 + exp(x))."""

    def __init__(self) -> None:
        super().__init__(False, 0.0)


class Contrastive:
    """y·d² + (1-y)·max(margin - d, 0)²."""

    def __init__(self, margin: float):
        self._margin = margin

    def forward(self, d: Tensor, y: Tensor) -> tuple[Tensor, Kept]:
        """The losses [B]; keeps nothing."""
        (loss,) = _numbers(d, 1)
        arguments = (d, y, loss, len(d), *_strides(d, y), self._margin)
        _launch(kernels.contrastive_forward, d, EXAMPLES, *arguments)
        return loss, ()

    def backward(self, inputs: Kept, kept: Kept, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        """∂/∂d = 2·y·d - 2·(1-y)·max(margin - d, 0)."""
        (d, y), (by_d,) = inputs, _gradients(inputs[:1], wanted)
        arguments = (d, y, g, by_d, len(d), *_strides(d, y), _by_example(g), count, self._margin)
        _launch(kernels.contrastive_backward, d, EXAMPLES, *arguments)
        return (by_d,)


class ContrastivePair:
    """y·d² + (1-y)·max(margin - d, 0)² of d = ‖x1 - x2‖₂."""

    def __init__(self, margin: float):
        self._margin = margin

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Kept]:
        """The losses [B]; keeps the distances."""
        x1 = inputs[0]
        loss, d = _numbers(x1, 2)
        arguments = (*inputs, loss, d, *x1.shape, *_strides(*inputs), self._margin)
        _over_rows(kernels.contrastive_pair_forward, x1, *arguments)
        return loss, (d,)

    def backward(self, inputs: Kept, kept: Kept, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        """∂/∂x1 = (2·y·d - 2·(1-y)·max(margin - d, 0)) · (x1 - x2)/d, and 0 where d = 0; ∂/∂x2 is its negative."""
        x1, found = inputs[0], _gradients(inputs[:2], wanted)
        arguments = (*inputs, *kept, g, *found, *x1.shape, *_strides(*inputs), _by_example(g), count, self._margin)
        _over_rows(kernels.contrastive_pair_backward, x1, *arguments)
        return found


class LabeledTriplet:
    """2‖near - anc‖² - ‖anc - far‖² - ‖near - far‖² + margin, where near is the positive if the label is 1."""

    def __init__(self, margin: float):
        self._margin = margin

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Kept]:
        """The losses [B], NaN where the label is; keeps nothing."""
        anc = inputs[0]
        (loss,) = _numbers(anc, 1)
        arguments = (*inputs, loss, *anc.shape, *_strides(*inputs), self._margin)
        _over_rows(kernels.triplet_forward, anc, *arguments)
        return loss, ()

    def backward(self, inputs: Kept, kept: Kept, g: Tensor, count: int, wanted: Sequence[bool]) -> Gradients:
        """The gradients by anchor, positive and negative that are wanted, from the three differences."""
        anc, found = inputs[0], _gradients(inputs[:3], wanted)
        arguments = (*inputs, g, *found, *anc.shape, *_strides(*inputs), _by_example(g), count)
        _over_rows(kernels.triplet_backward, anc, *arguments)
        return found


class CrossEntropy(aten_classes.CrossEntropy):
    """Cross entropy with its smoothing, square and cap, as the class of that name in :mod:`.aten_classes`."""

    def sums(self, logits: Tensor, index: Tensor, wide: torch.dtype) -> Kept:
        """Of each row what is taken off x, Σ exp(x - that), exp(x_y - that), L - x_y and Σ w·(x - that); [B] each."""
        largest, total, at_y, even = _numbers(logits, 4)
        ends = (*logits.shape, *_strides(logits), self.cap)
        capped = self.cap > 0
        _over_rows(class_kernels.class_sums, logits, logits, index, largest, total, at_y, *ends, CAPPED=capped)
        if self.smoothing:
            arguments = (logits, index, self.weight, largest, even)
            _over_rows(class_kernels.class_weighed, logits, *arguments, *ends, CAPPED=capped)
        return largest, total, at_y.double().exp(), total.double().log() - at_y, even

    def slopes(
        self, logits: Tensor, index: Tensor, shift: Tensor, by_exp: Tensor, spread: Tensor, at_y: Tensor, out: Tensor
    ) -> None:
        """Write the gradient into ``out`` [B, C], which may be the logits themselves."""
        arguments = (logits, index, self.weight, shift, by_exp, spread if self.smoothing else None, at_y, out)
        _over_rows(
            class_kernels.class_slopes, logits, *arguments, *logits.shape, *_strides(logits, out), self.cap,
            CAPPED=self.cap > 0,
        )  # fmt: skip


class LinearCrossEntropy(aten_products.LinearCrossEntropy):
    """Cross entropy of a layer: the library's products of matrices, and the kernels of cross entropy between them."""

    def picked(self, index: Tensor) -> Tensor | None:
        """All rows: which are ignored is not looked at, because the processor would have to wait for it."""
        return None

    def settle(self, scores: Tensor, index: Tensor, g: Tensor | None) -> Tensor:
        """lse(x) - x_y [R] of the logits x [R, C] and the classes; x becomes g·(p - δ_y), if there is a g."""
        entropy = CrossEntropy()
        shift, total, own, log, _ = entropy.sums(scores, index, scores.dtype)
        if g is not None:
            by_exp, at_y = ((g / total).to(shift.dtype), (g * (own / total - 1)).to(shift.dtype))
            entropy.slopes(scores, index, shift, by_exp, by_exp, at_y, scores)
        return log.to(scores.dtype)
