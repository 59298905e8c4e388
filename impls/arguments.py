"""The argument checks of lossmark's own losses, written once for all frameworks.

They look only at ``shape`` and ``dtype``, which every framework's tensors have, so they work while tracing too
(an unknown dimension, ``None``, matches anything). Every refusal names the argument, what was given and what is
allowed. A label's values are looked at only where the framework's folder has them concrete and on the host.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

REDUCTIONS = ("none", "sum", "mean")
SIMILARITIES = ("dot", "cosine")
FLOATING = ("float64", "float32", "bfloat16", "float16")
"""The names of the dtypes that embeddings and distances may have."""


def dtype_name(x: Any) -> str:
    """The name of a tensor's dtype, without the module that its text may begin with: ``float32``."""
    dtype = x.dtype
    return str(getattr(dtype, "name", dtype)).rpartition(".")[2]


def shape_of(x: Any) -> tuple[int | None, ...]:
    """The static shape of a tensor; an unknown dimension is None."""
    return tuple(x.shape)


def _agree(x: Sequence[int | None], y: Sequence[int | None]) -> bool:
    return len(x) == len(y) and all(a == b or a is None or b is None for a, b in zip(x, y, strict=True))


def check_tensors(tensors: Mapping[str, Any], rank: int) -> tuple[int | None, ...]:
    """Refuse tensors that are not floating, of one dtype and of one shape with ``rank`` dimensions; returns the shape.

    Raises TypeError for dtypes, ValueError for shapes.
    """
    (first, x), *rest = tensors.items()
    dims = "[B, D]" if rank == 2 else "[B]"
    for name, tensor in tensors.items():
        if not hasattr(tensor, "shape") or not hasattr(tensor, "dtype"):
            raise TypeError(f"{name} must be a tensor {dims}, got {type(tensor).__name__}")
        if dtype_name(tensor) not in FLOATING:
            raise TypeError(f"{name} has dtype {dtype_name(tensor)}, expected one of {', '.join(FLOATING)}")
    expected = shape_of(x)
    if len(expected) != rank:
        raise ValueError(f"{first} has shape {list(expected)}, expected {dims}")
    for name, tensor in rest:
        if dtype_name(tensor) != dtype_name(x):
            raise TypeError(f"{name} has dtype {dtype_name(tensor)}, expected {dtype_name(x)} as {first} has")
        if not _agree(shape_of(tensor), expected):
            raise ValueError(f"{name} has shape {list(shape_of(tensor))}, expected {list(expected)} as {first} has")
    return expected


def check_label(name: str, label: Any, batch: int | None) -> None:
    """Refuse a label whose shape is not ``[B]``: ``(B, 1)`` would broadcast to ``(B, B)``.

    Raises TypeError for what is no tensor, ValueError for a shape.
    """
    if not hasattr(label, "shape") or not hasattr(label, "dtype"):
        raise TypeError(f"{name} must be a tensor [B], got {type(label).__name__}")
    if not _agree(shape_of(label), (batch,)):
        raise ValueError(f"{name} has shape {list(shape_of(label))}, expected {[batch]}")


def check_label_values(name: str, label: NDArray[Any], *, soft: bool) -> None:
    """Refuse a value that is not in [0, 1], or not 0 or 1; NaN passes. Raises ValueError.

    Looks at the least and the largest first, which costs least, and at each only where those are no answer.
    """
    if soft and label.size and label.min() >= 0 and label.max() <= 1:
        return
    allowed = (label >= 0) & (label <= 1) if soft else (label == 0) | (label == 1)
    bad = ~(allowed | np.isnan(label))
    if bad.any():
        raise ValueError(f"{name} has the value {label[bad].flat[0]}, expected {'[0, 1]' if soft else '0 or 1'}")


def check_margin(margin: Any) -> None:
    """Refuse a margin that is not a finite number of at least 0. Raises TypeError or ValueError."""
    check_not_negative("margin", margin)


def check_not_negative(name: str, value: Any) -> None:
    """Refuse a parameter that is not a finite number of at least 0. Raises TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r}, expected a finite number of at least 0")


def check_choice(name: str, value: Any, allowed: Sequence[str]) -> None:
    """Refuse a value outside ``allowed``. Raises ValueError."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(repr, allowed))}")


def check_reduction(reduction: Any, batch: int | None) -> None:
    """Refuse an unknown reduction, and the mean of an empty batch. Raises ValueError."""
    check_choice("reduction", reduction, REDUCTIONS)
    if reduction == "mean" and batch == 0:
        raise ValueError("reduction is 'mean' but the batch is empty, expected at least one example")


def check_ranking(u: Any, d_pos: Any, d_neg: Any, similarity: Any, reduction: Any) -> None:
    """The checks of the losses of (query, positive, negative), all [B, D]. Raises TypeError or ValueError."""
    batch, _ = check_tensors({"u": u, "d_pos": d_pos, "d_neg": d_neg}, rank=2)
    check_choice("similarity", similarity, SIMILARITIES)
    check_reduction(reduction, batch)
