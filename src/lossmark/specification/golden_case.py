"""A golden case from its entry in the spec: shapes, labels, dtypes and the form of what is expected are checked.

Whether the expected values are right is for :mod:`lossmark.golden.verify` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..dtypes import DTYPES, F64
from ..formula.tree import BATCH, Input, shape_of
from . import hexfloat as numbers
from .case import Case, Param, left_out, param_value
from .document import Document, Path_
from .masks import counts
from .model import CaseModel, Leaves, SpecModel
from .parameters import given_values
from .structured import check_rows, expanded


def golden_case(model: SpecModel, document: Document, index: int, inputs: tuple[Input, ...]) -> Case:
    """The golden case at an index of the spec, checked against the formula's inputs; raises :class:`SpecError`."""
    case = model.cases[index]
    path: Path_ = ("cases", index)
    refused = case.expect.error is not None
    if (case.inputs is None) == (case.rows is None):
        raise document.error(path, "expected one of inputs and rows")
    given = case.rows.inputs if case.rows else case.inputs or {}
    there: Path_ = (*path, "rows") if case.rows else path
    absent = frozenset(item.name for item in inputs if item.optional is not None and item.name not in given)
    if set(given) != {item.name for item in inputs} - absent:
        expected = [item.name for item in inputs]
        raise document.error((*there, "inputs"), f"found inputs {list(given)}, expected {expected}")
    params = given_values(model, document, case.params, (*path, "params"), valid=not refused)
    arrays = _arrays(document, there, given, inputs)
    if not refused:
        marks = {item.name: _mark(model, params, item) for item in inputs if item.ignore}
        _check_arrays(document, there, arrays, inputs, marks)
        _check_expected(document, path, case, arrays, _sizes(arrays, inputs)[BATCH])
    integer = frozenset(name for name, rows in given.items() if all(type(x) is int for x in _unnested(rows)[1]))
    dtypes = tuple(case.dtypes) if case.dtypes else tuple(DTYPES)
    if not refused:
        numbers_of = {item.name: arrays[item.name] for item in inputs if item.label != "index"}
        _check_representable(document, there, numbers_of, dtypes)
    dims = {item.name: item.dims for item in inputs}
    counts = {case.rows.axis: case.rows.counts} if case.rows else {}
    found = Case(
        *(case.id, model.loss, params, arrays, dims, tuple(case.flags), case.why, dtypes, integer),
        error=case.expect.error, golden=case, absent=absent, counts=counts,
    )  # fmt: skip
    if case.rows is None:
        return found
    check_rows(document, there, found, case.rows, inputs)
    return expanded(found, case.rows, inputs)


def _arrays(document: Document, path: Path_, given: Leaves, inputs: tuple[Input, ...]) -> dict[str, F64]:
    """The numbers of each input, in the order of the spec; what is left out has those that it then stands for."""
    found = {name: _array(document, (*path, "inputs", name), rows) for name, rows in given.items()}
    sizes = _sizes(found, inputs)
    return {item.name: found[item.name] if item.name in found else left_out(item, sizes) for item in inputs}


def _sizes(arrays: Mapping[str, F64], inputs: tuple[Input, ...]) -> dict[str, int]:
    """How long each axis is in the first input that has it."""
    sizes = {axis: 0 for item in inputs for axis in item.dims}
    for item in reversed(inputs):
        if item.name in arrays:
            sizes |= zip(item.dims, arrays[item.name].shape, strict=False)
    return sizes


def _mark(model: SpecModel, params: Mapping[str, Param], item: Input) -> Param:
    """The value of the parameter that marks the rows that do not count."""
    return params.get(item.ignore, param_value(model.params[item.ignore].default))


def _unnested(rows: Any) -> tuple[tuple[int, ...], list[Any]]:
    """The shape of nested lists, and their leaves in order; the lengths stop where lists differ in theirs."""
    shape: list[int] = []
    level = [rows]
    while level and any(isinstance(x, list) for x in level):
        lengths = {len(x) if isinstance(x, list) else -1 for x in level}
        if len(lengths) > 1:
            raise _RaggedError(f"ragged list: rows of {sorted(map(str, lengths))} numbers")
        shape.append(lengths.pop())
        level = [each for x in level for each in x]
    return tuple(shape), level


class _RaggedError(Exception):
    """Lists beside each other that are not equally long."""


def _array(document: Document, path: Path_, rows: Any) -> F64:
    try:
        shape, leaves = _unnested(rows)
    except _RaggedError as error:
        raise document.error(path, str(error)) from None
    values = [float(x) if type(x) is int else numbers.parse(x) for x in leaves]
    return np.array(values, dtype=np.float64).reshape(shape)


def _check_arrays(
    document: Document,
    path: Path_,
    arrays: Mapping[str, F64],
    inputs: tuple[Input, ...],
    marks: Mapping[str, Param],
) -> None:
    """Every axis is as long in each input that has it; labels lie in their range."""
    sizes = _sizes(arrays, inputs)
    for item in inputs:
        array, expected = arrays[item.name], shape_of(item.dims, sizes)
        where = (*path, "inputs", item.name)
        if array.shape != expected:
            raise document.error(where, f"wrong shape {list(array.shape)}, expected {list(expected)}")
    for item in inputs:
        array, where = arrays[item.name], (*path, "inputs", item.name)
        if item.label == "index":
            counted = array[array != marks.get(item.name, np.nan)]
            if not np.all((counted == np.rint(counted)) & (counted >= 0) & (counted < sizes[item.index])):
                raise document.error(
                    where, f"an index is one of 0 to {sizes[item.index] - 1}, or marks what is ignored"
                )
        counted = array[counts(item, arrays, inputs)]
        if item.label == "class" and not np.all(counted == np.rint(counted)):
            raise document.error(where, "a class is a whole number")
        if item.label in ("hard", "soft") and not np.all(np.isnan(counted) | ((counted >= 0) & (counted <= 1))):
            raise document.error(where, "a label lies in [0, 1]")
        if item.label == "hard" and not np.all(np.isnan(counted) | (counted == 0) | (counted == 1)):
            raise document.error(where, "this label is 0 or 1")
        if item.mask and np.isnan(array).any():
            raise document.error(where, "a mask is 0 or 1")


def _check_expected(document: Document, path: Path_, case: CaseModel, arrays: Mapping[str, F64], batch: int) -> None:
    given = case.expect.model_fields_set
    if given and given != {"value", "mean", "grad"}:
        expected = "value, mean and grad, or nothing before lossmark certify"
        raise document.error((*path, "expect"), f"found only {', '.join(sorted(given))}, expected {expected}")
    if case.expect.value is not None and len(case.expect.value) != batch:
        raise document.error((*path, "expect", "value"), f"{len(case.expect.value)} values for a batch of {batch}")
    for name, rows in (case.expect.grad or {}).items():
        where = (*path, "expect", "grad", name)
        if name not in arrays:
            raise document.error(where, f"gradient of an unknown input {name!r}")
        try:
            shape = list(_unnested(rows)[0])
        except _RaggedError as error:
            raise document.error(where, str(error)) from None
        if shape != [*arrays[name].shape]:
            raise document.error(where, f"wrong shape {shape}, expected {list(arrays[name].shape)}")


def _check_representable(document: Document, path: Path_, arrays: Mapping[str, F64], dtypes: tuple[str, ...]) -> None:
    for name, array in arrays.items():
        for dtype in dtypes:
            held = DTYPES[dtype].holds(array) | np.isnan(array)
            if not held.all():
                value = numbers.canonical(float(array[~held].flat[0]))
                raise document.error((*path, "inputs", name), f"{value} is not representable in {dtype}")
