"""A loss as two passes over its inputs: what autograd has to know of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

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


@runtime_checkable
class AtOnce(Protocol):
    """Passes that have the gradients of a sum for less while they make the losses than afterwards."""

    def both(
        self, inputs: Sequence[Tensor], among: Tensor | int, wanted: Sequence[bool]
    ) -> tuple[Tensor, Sequence[Tensor | None]]:
        """The losses [B] and the gradients of their sum / ``among``, in the accumulator's dtype, where ``wanted``.

        ``inputs`` as in :meth:`Passes.backward`.
        """


def differentiable(
    passes: Passes,
    formula: Callable[..., Tensor],
    reduction: str,
    inputs: Sequence[Tensor],
    *labels: Tensor,
    among: Tensor | None = None,
) -> Tensor:
    """The loss with the gradients of its passes; second derivatives are those of the plain ``formula(*inputs)``.

    A mean divides by ``among``, [] in the accumulator's dtype, or by the number of examples.
    """
    return _Fused.apply(passes, formula, reduction, among, torch.is_grad_enabled(), len(inputs), *inputs, *labels)


OWN = 6
"""Arguments of the function below before the inputs of the loss."""


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        passes: Passes,
        formula: Callable[..., Tensor],
        reduction: str,
        among: Tensor | None,
        grad: bool,
        inputs: int,
        *given: Tensor,
    ) -> Tensor:
        ctx.passes, ctx.formula, ctx.reduction, ctx.given = passes, formula, reduction, len(given)
        ctx.among = 1 if reduction != "mean" else len(given[0]) if among is None else among
        ctx.wanted = ctx.needs_input_grad[OWN : OWN + inputs]
        ctx.made = isinstance(passes, AtOnce) and reduction != "none" and grad and any(ctx.wanted)
        loss, kept = passes.both(given, ctx.among, ctx.wanted) if ctx.made else passes.forward(*given)
        ctx.save_for_backward(*given, *kept)
        return reduce(loss, reduction, given[0].dtype, among)

    @staticmethod
    def backward(ctx: FunctionCtx, g: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        given, kept = saved[: ctx.given], saved[ctx.given :]
        found: Sequence[Tensor | None]
        if torch.is_grad_enabled():
            found = _again(functools.partial(ctx.formula, reduction=ctx.reduction), given[: len(ctx.wanted)], g)
        elif ctx.made:
            found = [None if x is None else _times(x, g) for x in kept]
        elif isinstance(ctx.among, Tensor):
            found = ctx.passes.backward(given, kept, g.to(ctx.among.dtype) / ctx.among, 1, ctx.wanted)
        else:
            found = ctx.passes.backward(given, kept, g, ctx.among, ctx.wanted)
        return *[None] * OWN, *found, *[None] * (len(given) - len(found))


def _times(gradient: Tensor, g: Tensor) -> Tensor:
    """A gradient in the accumulator's dtype times the cotangent [], in that of the cotangent.

    A cotangent of 1, which is almost every one, copies nothing.
    """
    one = g.is_cpu and g == 1  # elsewhere a look would force a sync
    return (gradient if one else gradient * g.to(gradient.dtype)).to(g.dtype)


def _again(formula: Callable[..., Tensor], inputs: Sequence[Tensor], g: Tensor) -> tuple[Tensor, ...]:
    """The gradient of ``formula`` by ``inputs``, weighed by ``g``, as something that can be differentiated again."""
    with torch.enable_grad():
        leaves = [x if x.requires_grad else x.detach().requires_grad_() for x in inputs]
        return torch.autograd.grad(formula(*leaves), leaves, g, create_graph=True)
