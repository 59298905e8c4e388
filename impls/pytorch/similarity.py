"""Similarities in PyTorch: dot and cosine of rows, and of every row with every other."""

from __future__ import annotations

import torch
from torch import Tensor

GUARD = 1e-8
"""The least that a cosine divides by."""


def similarity_of(x: Tensor, y: Tensor, similarity: str) -> Tensor:
    """Of each row [B, D] with its own [B]: dot, Σ xᵢyᵢ; cosine, x·y / max(‖x‖‖y‖, 1e-8)."""
    dot = (x * y).sum(dim=1)
    return dot if similarity == "dot" else dot / (norm(x) * norm(y)).clamp_min(GUARD)


def similarities(x: Tensor, y: Tensor, similarity: str) -> Tensor:
    """Of each row of x [B, D] with every row of y [J, D]: [B, J]."""
    dot = x @ y.T
    return dot if similarity == "dot" else dot / (norm(x)[:, None] * norm(y)).clamp_min(GUARD)


class _Norm(torch.autograd.Function):
    """‖x‖₂, scaled by a power of two so that no square overflows, with gradient x/‖x‖, and 0 at 0."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        largest = x.abs().amax(dim=1) if x.shape[1] else x.new_zeros(x.shape[0])
        mantissa, _ = torch.frexp(largest)
        scale = torch.where((largest > 0) & largest.isfinite(), largest / (2 * mantissa), 1.0)
        return scale * torch.linalg.vector_norm(x / scale[:, None], dim=1)

    @staticmethod
    def setup_context(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, g: Tensor) -> Tensor:
        return g[:, None] * unit(*ctx.saved_tensors)


def unit(x: Tensor, length: Tensor) -> Tensor:
    """x / ‖x‖ [B, D], and 0 at 0."""
    zero = length[:, None] == 0
    return torch.where(zero, 0.0, x / torch.where(zero, 1.0, length[:, None]))


def norm(x: Tensor) -> Tensor:
    """‖x‖₂ [B] of x [B, D], for any finite x."""
    return _Norm.apply(x)
