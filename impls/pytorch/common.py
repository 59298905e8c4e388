"""What the losses in PyTorch have in common: accumulator, reduction, softplus, labels, argument checks."""

from __future__ import annotations

import torch
from lossmark.impls.arguments import Shape, check_indices, check_label
from torch import Tensor


def wide(*tensors: Tensor) -> tuple[Tensor, ...]:
    """In the dtype that sums accumulate in: float64 for float64, else float32."""
    dtype = wide_of(tensors[0])
    return tuple(x.to(dtype) for x in tensors)


def wide_of(x: Tensor) -> torch.dtype:
    """The dtype that sums accumulate in: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def reduce(loss: Tensor, reduction: str, dtype: torch.dtype, among: Tensor | None = None) -> Tensor:
    """The losses [B] of the examples under ``none``, else their sum or mean, rounded once to ``dtype``.

    A mean divides by ``among`` [], in the dtype of the losses, or by the number of examples.
    """
    if reduction == "none":
        return loss.to(dtype)
    if reduction == "mean":
        return (loss.mean() if among is None else loss.sum() / among).to(dtype)
    return loss.sum().to(dtype)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)); its gradient is sigmoid(x) at 0 too, where |x| and max(x, 0) have kinks.

    F.softplus goes linear at 20 and is then 5.7e5 ulp off in float64.
    """
    return torch.logaddexp(x, torch.zeros_like(x))


def checked_label(name: str, y: Tensor, shape: Shape, dtype: torch.dtype, *, soft: bool) -> Tensor:
    """The label in ``dtype``, refused where its shape or a value is not allowed."""
    check_label(name, y, shape)
    y = y.to(dtype)
    if y.device.type == "cpu" and not torch.compiler.is_compiling():  # elsewhere the check would force a sync
        _refuse(name, y, soft=soft)
    return y


def checked_class(target: Tensor, classes: int, ignore_index: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """The class of each example, 0 where it has none, which of them count, and which of those that do have a class.

    Raises ValueError for what counts and is no class, on a CPU and not under compilation.
    """
    target = target.long()  # a narrow dtype may not hold ignore_index
    counted = torch.ones_like(target, dtype=torch.bool) if ignore_index is None else target != ignore_index
    known = (target >= 0) & (target < classes)
    if target.device.type == "cpu" and not torch.compiler.is_compiling():  # elsewhere the check would force a sync
        check_indices("target", torch.where(counted, target, 0).numpy(), classes)
    return torch.where(counted & known, target, 0), counted, known


def _refuse(name: str, y: Tensor, *, soft: bool) -> None:
    """Raise ValueError for a value that is not in [0, 1], or not 0 or 1; NaN passes.

    Looks at the least and the largest first, which costs least, and at each only where those are no answer.
    """
    if soft and y.numel() and y.min() >= 0 and y.max() <= 1:
        return
    bad = ~((y >= 0) & (y <= 1) | y.isnan()) if soft else ~((y == 0) | (y == 1) | y.isnan())
    if bad.any():
        allowed = "[0, 1]" if soft else "0 or 1"
        raise ValueError(f"{name} has the value {y[bad][0].item()}, expected {allowed}")
