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
"""The names of the dtypes that embeddings, logits and distances may have."""
Shape = Sequence[int | None]
"""The lengths of the axes of a tensor; None is not known before it runs."""


def dtype_name(x: Any) -> str:
    """The name of a tensor's dtype, without the module that its text may begin with: ``float32``."""
    dtype = x.dtype
    return str(getattr(dtype, "name", dtype)).rpartition(".")[2]


def shape_of(x: Any) -> Shape:
    """The static shape of a tensor; an unknown dimension is None."""
    return tuple(x.shape)


def _agree(x: Shape, y: Shape) -> bool:
    return len(x) == len(y) and all(a == b or a is None or b is None for a, b in zip(x, y, strict=True))


def check_tensors(tensors: Mapping[str, Any], rank: int, across: str = "D") -> Shape:
    """Refuse tensors that are not floating, of one dtype and of one shape with ``rank`` dimensions; returns the shape.

    ``across`` is the letter of the second dimension.

    Raises TypeError for dtypes, ValueError for shapes.
    """
    (first, x), *rest = tensors.items()
    dims = f"[B, {across}]" if rank == 2 else "[B]"
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


def check_label(name: str, label: Any, shape: Shape) -> None:
    """Refuse a label of another shape: ``(B, 1)`` in place of ``(B,)`` would broadcast to ``(B, B)``.

    Raises TypeError for what is no tensor, ValueError for a shape.
    """
    if not hasattr(label, "shape") or not hasattr(label, "dtype"):
        raise TypeError(f"{name} must be a tensor {list(shape)}, got {type(label).__name__}")
    if not _agree(shape_of(label), shape):
        raise ValueError(f"{name} has shape {list(shape_of(label))}, expected {list(shape)}")


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


def check_class(name: str, label: Any, batch: int | None) -> None:
    """Refuse what is not one integer for each example. Raises TypeError for dtypes, ValueError for shapes."""
    check_label(name, label, (batch,))
    if not dtype_name(label).startswith(("int", "uint")):
        raise TypeError(f"{name} has dtype {dtype_name(label)}, expected an integer dtype")


def check_classes(target: Any, weight: Any, logits: Any, ignore_index: Any, label_smoothing: Any) -> None:
    """The checks of the losses of a class [B] of logits [B, C], of weights [C], and of their parameters.

    Raises TypeError for dtypes and what is no number, ValueError for shapes and values.
    """
    batch, classes = shape_of(logits)
    check_class("target", target, batch)
    if weight is not None:
        check_label("weight", weight, (classes,))
        if dtype_name(weight) != dtype_name(logits):
            raise TypeError(f"weight has dtype {dtype_name(weight)}, expected {dtype_name(logits)} as logits has")
    check_mark(ignore_index)
    check_share("label_smoothing", label_smoothing)


def check_margins(logits: Any, target: Any, margin: Any, reduction: Any) -> None:
    """The checks of the margins between classes, of scores [B, C]. Raises TypeError or ValueError."""
    batch, _ = check_tensors({"logits": logits}, rank=2, across="C")
    check_class("target", target, batch)
    check_margin(margin)
    check_reduction(reduction, batch)


def check_capped(logits: Any, target: Any, z_weight: Any, softcap: Any, ignore_index: Any, reduction: Any) -> None:
    """The checks of a cross entropy of capped logits [B, C] with a square. Raises TypeError or ValueError."""
    batch, _ = check_tensors({"logits": logits}, rank=2, across="C")
    check_class("target", target, batch)
    check_not_negative("z_weight", z_weight)
    check_not_negative("softcap", softcap)
    check_mark(ignore_index)
    check_reduction(reduction, batch)


def check_distilled(student: Any, teacher: Any, temperature: Any, reduction: Any) -> None:
    """The checks of two kinds of logits [B, C] and their temperature. Raises TypeError or ValueError."""
    batch, _ = check_tensors({"student": student, "teacher": teacher}, rank=2, across="C")
    check_positive("temperature", temperature)
    check_reduction(reduction, batch)


def check_focal(logits: Any, alpha: Any, gamma: Any, reduction: Any) -> Shape:
    """The checks of logits [B] and of what weighs them; returns the shape. Raises TypeError or ValueError."""
    (batch,) = check_tensors({"logits": logits}, rank=1)
    check_share("alpha", alpha)
    check_not_negative("gamma", gamma)
    check_reduction(reduction, batch)
    return (batch,)


def check_share(name: str, value: Any) -> None:
    """Refuse a parameter that is not a number in [0, 1]. Raises TypeError or ValueError."""
    _check_number(name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value!r}, expected [0, 1]")


def check_mark(ignore_index: Any) -> None:
    """Refuse a mark of ignored rows that is no integer. Raises TypeError."""
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
        raise TypeError(f"ignore_index must be an integer, got {ignore_index!r}")


def check_output_layer(hidden: Any, weight: Any, target: Any, ignore_index: Any) -> None:
    """The checks of hidden states [B, D], the rows of a layer [C, D], a class [B] and the mark of ignored rows.

    Raises TypeError for dtypes and what is no tensor, ValueError for shapes.
    """
    check_tensors({"hidden": hidden}, rank=2)
    check_tensors({"weight": weight}, rank=2)
    if dtype_name(weight) != dtype_name(hidden):
        raise TypeError(f"weight has dtype {dtype_name(weight)}, expected {dtype_name(hidden)} as hidden has")
    if not _agree(shape_of(weight)[1:], shape_of(hidden)[1:]):
        raise ValueError(f"weight has shape {list(shape_of(weight))}, expected [C, {shape_of(hidden)[1]}]")
    check_label("target", target, shape_of(hidden)[:1])
    check_mark(ignore_index)


QUERIES = ("query", "key", "temperature")
"""The names of two embeddings and of what their similarities are divided or multiplied by."""
IMAGES = ("image", "text", "scale")
"""Likewise of images and their texts."""
VIEWS = ("z1", "z2", "temperature")
"""Likewise of two views."""


def check_pairs(
    x: Any, y: Any, factor: Any, similarity: Any, reduction: Any, names: tuple[str, str, str] = QUERIES
) -> None:
    """The checks of the losses of pairs of embeddings, both [B, D]. Raises TypeError or ValueError."""
    first, second, by = names
    batch, _ = check_tensors({first: x, second: y}, rank=2)
    check_positive(by, factor)
    check_choice("similarity", similarity, SIMILARITIES)
    check_reduction(reduction, batch)


def check_supervised(z: Any, label: Any, temperature: Any, similarity: Any, reduction: Any) -> None:
    """The checks of embeddings [B, D], each of a class [B]. Raises TypeError or ValueError."""
    batch, _ = check_tensors({"z": z}, rank=2)
    check_label("label", label, (batch,))
    check_positive("temperature", temperature)
    check_choice("similarity", similarity, SIMILARITIES)
    check_reduction(reduction, batch)


def check_indices(name: str, index: NDArray[Any], classes: int) -> None:
    """Refuse what is no class. Raises ValueError."""
    bad = (index < 0) | (index >= classes)
    if bad.any():
        raise ValueError(f"{name} has the value {index[bad][0]}, expected 0 to {classes - 1}")


def check_margin(margin: Any) -> None:
    """Refuse a margin that is not a finite number of at least 0. Raises TypeError or ValueError."""
    check_not_negative("margin", margin)


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {value!r}")


def check_not_negative(name: str, value: Any) -> None:
    """Refuse a parameter that is not a finite number of at least 0. Raises TypeError or ValueError."""
    _check_number(name, value)
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r}, expected a finite number of at least 0")


def check_positive(name: str, value: Any) -> None:
    """Refuse a parameter that is not a finite number above 0. Raises TypeError or ValueError."""
    check_not_negative(name, value)
    if value == 0:
        raise ValueError(f"{name} is 0, expected a positive number")


def check_finite(name: str, value: Any) -> None:
    """Refuse a parameter that is not a finite number. Raises TypeError or ValueError."""
    _check_number(name, value)
    if not -math.inf < value < math.inf:  # a comparison is traced, math.isfinite is not
        raise ValueError(f"{name} is {value!r}, expected a finite number")


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
