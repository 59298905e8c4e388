"""What a test hands over: the inputs and parameters of one call, held to what the spec says of them.

Refusals are in the words of lossmark's own losses: the argument, what was given, and what is allowed.
"""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dtypes import DTYPES, F64, DType
from ..formula.tree import BATCH, Input, Sizes, topological
from ..specification.case import Case, Param, Parameters, left_out
from ..specification.hexfloat import parse
from ..specification.library import losses
from ..specification.loss import Loss
from ..specification.masks import counts
from ..specification.model import ParamModel
from .tensors import array_of, floating

EXACT_INTEGERS = 1 << 53
"""Up to here float64 holds every integer."""


@dataclass(frozen=True)
class Given:
    """One call of a loss: its inputs as they came, of which ``leading`` is the shape that stands for the batch."""

    loss: Loss
    params: Parameters
    dtype: DType
    """That of the floating inputs."""
    arrays: Mapping[str, NDArray[Any]]
    leading: tuple[int, ...]
    sizes: Sizes

    @property
    def batch(self) -> int:
        """B, the number of examples."""
        return math.prod(self.leading)

    @property
    def size(self) -> int:
        """How many numbers the largest input has; where pairs are taken, how many those are."""
        largest = max((array.size for array in self.arrays.values()), default=0)
        return max(largest, self.batch**2) if self.loss.pairs else largest

    @property
    def absent(self) -> frozenset[str]:
        """The optional inputs that are left out."""
        return frozenset(self.loss.optional) - self.arrays.keys()

    @functools.cached_property
    def _shared(self) -> Mapping[str, F64]:
        """The inputs that all examples have in common."""
        found = {}
        for item in self.loss.inputs:
            if item.name in self.absent:
                found[item.name] = left_out(item, self.sizes)
            elif item.shared:
                found[item.name] = self.arrays[item.name].astype(np.float64)
        return found

    def numbers(self, name: str, rows: NDArray[np.intp]) -> F64:
        """Some rows of an input that each example has one of."""
        return np.asarray(self.arrays[name][np.unravel_index(rows, self.leading)].astype(np.float64))

    def part(self, rows: NDArray[np.intp]) -> Case:
        """The call with some rows of the batch alone; the shared inputs are whole."""
        shared = self._shared
        inputs = {
            item.name: shared[item.name] if item.name in shared else self.numbers(item.name, rows)
            for item in self.loss.inputs
        }
        return Case(f"{self.loss.id}/own-data", self.loss.id, self.params, inputs, self.loss.dims, absent=self.absent)

    def labels(self) -> dict[str, F64]:
        """The shared inputs, and those of each example that the spec's mean divides by."""
        divisor, every = self.loss.gradients(self.params).formula.divisor, np.arange(self.batch)
        used = set() if divisor is None else {leaf.payload for leaf in topological([divisor])}
        names = [item.name for item in self.loss.inputs if item.name in used and item.name not in self._shared]
        return {**self._shared, **{name: self.numbers(name, every) for name in names}}

    def check_held(self, dtype: DType) -> None:
        """Raise ValueError for a label that a loss in ``dtype`` cannot have been given."""
        for item in self.loss.inputs:
            if item.label == "soft" and item.name in self.arrays:
                array = self.arrays[item.name]
                if array.dtype.kind == "f" and np.finfo(array.dtype).nmant + 1 <= dtype.p:
                    continue
                numbers = array.reshape(-1).astype(np.float64)
                lost = ~(dtype.holds(numbers) | np.isnan(numbers))
                if lost.any():
                    x = float(numbers[np.argmax(lost)])
                    raise ValueError(f"{item.name} has the value {x!r}, which {dtype.name} does not hold: hand over "
                                     f"the labels as the loss gets them, in {dtype.name}")  # fmt: skip


def given(loss_id: str, inputs: Mapping[str, Any], params: Mapping[str, Any] | None) -> Given:
    """The call; an optional input may be left out, or None.

    Raises ValueError for an unknown loss, names, shapes and values, TypeError for dtypes and what is no tensor.
    """
    library = losses()
    if loss_id not in library:
        near = difflib.get_close_matches(str(loss_id), library, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown loss {loss_id!r}: {hint}expected one of {', '.join(library)}")
    loss = library[loss_id]
    arrays = {name: array_of(name, x) for name, x in inputs.items() if x is not None}
    known = [item.name for item in loss.inputs]
    for name in [*arrays, *known]:
        if name not in known or (name not in arrays and name not in loss.optional):
            what = f"unknown input {name!r}" if name not in known else f"{name} is missing"
            raise ValueError(f"{what}: {loss.id} has the inputs {_listed(loss)}")
    chosen = _params(loss, params or {})
    leading, sizes = _shapes(loss, arrays)
    dtype = _dtype(loss, arrays)
    for item in loss.inputs:
        if item.label and item.name in arrays:
            counted = _counted(loss, item, arrays, leading)
            arrays[item.name] = _label(loss, item, arrays[item.name], sizes, chosen, counted)
    return Given(loss, chosen, dtype, arrays, leading, sizes)


def _listed(loss: Loss) -> str:
    optional = {name: f"{name} (may be left out)" for name in loss.optional}
    return ", ".join(optional.get(item.name, item.name) for item in loss.inputs)


def _shapes(loss: Loss, arrays: Mapping[str, NDArray[Any]]) -> tuple[tuple[int, ...], Sizes]:
    """The shape that stands for the batch, and how long every axis is."""
    leading: tuple[int, ...] | None = None
    sizes, having = dict[str, int](), dict[str, str]()
    for item in loss.inputs:
        if item.name not in arrays:
            continue
        shape, beside = arrays[item.name].shape, [axis for axis in item.dims if axis != BATCH]
        own = shape[: len(shape) - len(beside)]
        expected = [*(leading or ("B",)), *(sizes.get(axis, axis) for axis in beside)]
        if item.shared:
            expected = expected[len(leading or ("B",)) :]
            fits = len(shape) == len(beside)
        else:
            fits = len(own) >= 1 and own == (leading or own) and (len(own) == 1 or not loss.pairs)
        ends = shape[len(shape) - len(beside) :]
        unlike = [axis for axis, size in zip(beside, ends, strict=False) if size != sizes.get(axis, size)]
        if not fits or unlike:
            first = next((having[axis] for axis in (unlike if fits else item.dims) if axis in having), "")
            hint = f" as {first} has" if first else "" if loss.pairs or having else ", or any axes in the place of B"
            raise ValueError(f"{item.name} has shape {list(shape)}, expected [{', '.join(map(str, expected))}]{hint}")
        sizes |= dict(zip(beside, ends, strict=True))
        if not item.shared and leading is None:
            leading, having[BATCH] = own, item.name
        having = dict.fromkeys(beside, item.name) | having
    assert leading is not None
    return leading, {BATCH: math.prod(leading), **sizes}


def _dtype(loss: Loss, arrays: Mapping[str, NDArray[Any]]) -> DType:
    """The dtype that all floating inputs have."""
    first, found = loss.gradient_of[0], floating(loss.gradient_of[0], arrays[loss.gradient_of[0]])
    for item in loss.inputs:
        if not item.label and item.name in arrays and floating(item.name, arrays[item.name]) != found:
            dtype = floating(item.name, arrays[item.name])
            raise TypeError(f"{item.name} has dtype {dtype}, expected {found} as {first} has")
    return DTYPES[found]


def _counted(
    loss: Loss, item: Input, arrays: Mapping[str, NDArray[Any]], leading: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Which entries of an input its masks do not leave out, in its shape."""
    names = (item.name, *item.masks)
    rows = {name: arrays[name].reshape(math.prod(leading), *arrays[name].shape[len(leading) :]) for name in names}
    return counts(item, rows, loss.inputs).reshape(arrays[item.name].shape)


def _label(
    loss: Loss, item: Input, array: NDArray[Any], sizes: Sizes, params: Parameters, counted: NDArray[np.bool_]
) -> NDArray[Any]:
    """A label as it may be read as float64; raises TypeError for its dtype, ValueError for a value that is counted."""
    if item.label == "index":
        if array.dtype.kind not in "iu":
            raise TypeError(f"{item.name} has dtype {array.dtype}, expected an integer dtype")
        classes, mark = sizes[item.index], loss.mark(item, params)
        bad = ((array < 0) | (array >= classes)) & (array != mark)
        allowed = f"0 to {classes - 1}" + (f", or {mark:g} ({item.ignore})" if item.ignore else "")
    elif item.label == "class":
        if array.dtype.kind in "iu" and array.size and int(np.abs(array).max()) > EXACT_INTEGERS:
            return np.unique(array, return_inverse=True)[1].reshape(array.shape)
        numbers = array.astype(np.float64)
        bad, allowed = ~(np.isnan(numbers) | (numbers == np.round(numbers))), "whole numbers"
    else:
        soft = item.label == "soft"
        with np.errstate(invalid="ignore"):
            bad = ~((array >= 0) & (array <= 1)) if soft else (array != 0) & (array != 1)
            bad = bad & ((array == array) | item.mask)
        allowed = "[0, 1]" if soft else "0 or 1"
    bad = bad & counted
    if bad.any():
        raise ValueError(f"{item.name} has the value {array[bad].flat[0]}, expected {allowed}")
    return array


def _params(loss: Loss, values: Mapping[str, Any]) -> Parameters:
    """The parameters that are given; raises TypeError for what is no number, ValueError for a value."""
    models, found = loss.model.params, dict[str, Param]()
    for name, value in values.items():
        if name not in models:
            expected = ", ".join(models) or "none"
            raise ValueError(f"unknown parameter {name!r}: {loss.id} has the parameters {expected}")
        found[name] = _param(name, value, models[name], whole=name in loss.integers)
    return found


def _param(name: str, value: Any, model: ParamModel, *, whole: bool) -> Param:
    if model.choices:
        check_choice(name, value, model.choices)
        return str(value)
    if isinstance(value, np.ndarray | np.generic) and value.shape == ():
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if whole and not float(value).is_integer():
        raise TypeError(f"{name} must be an integer, got {value!r}")
    lowest = -math.inf if model.at_least is None else parse(model.at_least)
    if not lowest <= value < math.inf or value == -math.inf:
        least = "" if model.at_least is None else f" of at least {lowest:g}"
        raise ValueError(f"{name} is {value!r}, expected a finite number{least}")
    return float(value)


def check_choice(name: str, value: Any, allowed: Sequence[str]) -> None:
    """Refuse a value outside ``allowed``. Raises ValueError."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(repr, allowed))}")
