"""A loss as two passes over its inputs: what autograd has to know of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from .common import reduce


class Passes(Protocol):
    """How one loss is computed on one kind of device; ``labels`` are inputs without a gradient, or nothing."""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The losses [B] in the accumulator's dtype, and what backward needs beside the inputs and labels."""

    def backward(
        self, inputs: Sequence[Tensor], kept: Sequence[Tensor], g: Tensor, count: int, wanted: Sequence[bool]
    ) -> Sequence[Tensor | None]:
        """The gradients by the inputs, in their dtype, where ``wanted``, from the cotangents ``g`` / ``count``.

        ``g`` is [B] or []; ``inputs`` end with the labels, for which there is no ``wanted`` and no gradient.
        """


def differentiable(
    passes: Passes, formula: Callable[..., Tensor], reduction: str, inputs: Sequence[Tensor], *labels: Tensor
) -> Tensor:
    """The loss with the gradients of its passes; second derivatives are those of the plain ``formula``."""
    return _Fused.apply(passes, formula, reduction, len(inputs), *inputs, *labels)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, passes: Passes, formula: Callable[..., Tensor], reduction: str, inputs: int, *given: Tensor
    ) -> Tensor:
        loss, kept = passes.forward(*given)
        ctx.save_for_backward(*given, *kept)
        ctx.passes, ctx.formula, ctx.reduction, ctx.inputs, ctx.given = passes, formula, reduction, inputs, len(given)
        return reduce(loss, reduction, given[0].dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, g: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        given, kept = saved[: ctx.given], saved[ctx.given :]
        labels = given[ctx.inputs :]
        if torch.is_grad_enabled():
            found = _again(lambda *x: ctx.formula(*x, *labels, reduction=ctx.reduction), given[: ctx.inputs], g)
        else:
            count = len(given[0]) if ctx.reduction == "mean" else 1
            found = ctx.passes.backward(given, kept, g, count, ctx.needs_input_grad[4 : 4 + ctx.inputs])
        return None, None, None, None, *found, *[None] * len(labels)


def _again(formula: Callable[..., Tensor], inputs: Sequence[Tensor], g: Tensor) -> tuple[Tensor, ...]:
    """The gradient of ``formula`` by ``inputs``, weighed by ``g``, as something that can be differentiated again."""
    with torch.enable_grad():
        leaves = [x if x.requires_grad else x.detach().requires_grad_() for x in inputs]
        return torch.autograd.grad(formula(*leaves), leaves, g, create_graph=True)
