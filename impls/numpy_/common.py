"""What the losses in NumPy have in common: accumulator, reduction, softplus, labels, argument checks."""

from __future__ import annotations

from typing import Any

import numpy as np
from lossmark.impls.arguments import Shape, check_indices, check_label, check_label_values
from numpy.typing import NDArray

Array = NDArray[Any]


def wide(*tensors: Array) -> tuple[Array, ...]:
    """In the dtype that sums accumulate in: float64 for float64, else float32."""
    dtype = wide_of(tensors[0])
    return tuple(x.astype(dtype, copy=False) for x in tensors)


def wide_of(x: Array) -> np.dtype[Any]:
    """The dtype that sums accumulate in: float64 for float64, else float32."""
    return np.dtype(np.float64 if x.dtype == np.float64 else np.float32)


def reduce(loss: Array, reduction: str, dtype: np.dtype[Any]) -> Array:
    """The losses [B] of the examples under ``none``, else their sum or mean, rounded once to ``dtype``."""
    if reduction == "none":
        return loss.astype(dtype)
    return np.asarray(loss.sum() if reduction == "sum" else loss.mean()).astype(dtype)


def weight(batch: int, reduction: str, wide: np.dtype[Any]) -> Any:
    """The cotangent of each example's loss."""
    return wide.type(1.0 / batch if reduction == "mean" else 1.0)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), which never overflows."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), the derivative of :func:`softplus`."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def checked_class(target: Array, classes: int, ignore_index: int | None = None) -> tuple[Array, Array]:
    """The class of each example, 0 where it does not count, and which of them count; ValueError for no class."""
    counted = np.ones(len(target), bool) if ignore_index is None else target != ignore_index
    index = np.where(counted, target, 0).astype(np.intp)
    check_indices("target", index, classes)
    return index, counted


def checked_label(name: str, y: Array, shape: Shape, dtype: np.dtype[Any], *, soft: bool) -> Array:
    """The label in ``dtype``, refused where its shape or a value is not allowed."""
    check_label(name, y, shape)
    y = y.astype(dtype, copy=False)
    check_label_values(name, y, soft=soft)
    return y
