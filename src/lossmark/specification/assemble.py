"""From a spec file to a :class:`Loss`, or a refusal in one line that names file, line and key.

Checks what the models cannot: names, shapes, labels, flags and the formula itself. Values are checked by ``certify``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ..dtypes import DTYPES, F64
from ..errors import SpecError
from ..formula.derivative import gradients
from ..formula.gradients import Gradients
from ..formula.grammar import SIMILARITIES, Parser
from ..formula.tree import Builder, Formula, Input, Node, topological
from . import hexfloat as numbers
from .case import Case, Family, Param, Parameters, param_value
from .document import Document, Path_, read
from .laws import laws
from .loss import Loss
from .model import Association, CaseModel, FamilyModel, SpecModel


def load(path: Path) -> Loss:
    """Read, validate and assemble one spec file; raises :class:`SpecError`."""
    document = read(path)
    return assemble(document)


def assemble(document: Document) -> Loss:
    """The loss that a parsed document describes; raises :class:`SpecError`."""
    try:
        model = SpecModel.model_validate(document.data)
    except ValidationError as error:
        raise _one_line(error, document) from None
    stem = Path(document.file).stem
    if document.file != "<string>" and model.loss != stem:
        raise _error(document, ("loss",), f"found {model.loss!r}, expected {stem!r} as the file is named")
    _check_names(model, document)
    choices = model.params["similarity"].choices if "similarity" in model.params else [None]
    formulas = {choice: _formula(model, document, choice) for choice in choices or [None]}
    inputs = next(iter(formulas.values())).formula.inputs
    cases = tuple(_case(model, document, index, inputs) for index in range(len(model.cases)))
    families = tuple(
        Family(family, _params(model, document, family.params, ("families", index, "params"), valid=True))
        for index, family in enumerate(model.families)
    )
    return Loss(model, document, cases, families, laws(model, document), formulas)


def _error(document: Document, path: Path_, message: str) -> SpecError:
    return SpecError(message, document.place(path))


def _one_line(error: ValidationError, document: Document) -> SpecError:
    """The deepest of pydantic's complaints: of a union's alternatives, the one that got furthest."""
    first = max(error.errors(), key=lambda e: (e["type"] == "extra_forbidden", len(e["loc"])))
    path: Path_ = tuple(part for part in first["loc"] if not (isinstance(part, str) and "[" in part))
    while path and path not in document.places:
        path = path[:-1]
    full = tuple(str(part) for part in first["loc"])
    found = repr(first["input"])
    what = {"extra_forbidden": "unknown key", "missing": "missing key"}.get(first["type"], first["msg"])
    key = full[-1] if first["type"] in ("extra_forbidden", "missing") else ""
    message = f"{what} {key}".strip() + (f", found {found[:80]}" if first["type"] != "missing" else "")
    return SpecError(message, document.place(path))


def _check_names(model: SpecModel, document: Document) -> None:
    names = set(model.inputs)
    for index, name in enumerate(model.gradient_of):
        if name not in names:
            raise _error(
                document, ("gradient_of", index), f"found {name!r}, expected one of the inputs {sorted(names)}"
            )
    for name in model.params:
        if name in names or name == "reduction":
            raise _error(document, ("params", name), f"{name!r} cannot name a parameter")
    seen: dict[str, int] = {}
    sections: tuple[tuple[str, Sequence[FamilyModel | CaseModel]], ...] = (
        ("families", model.families),
        ("cases", model.cases),
    )
    for key, items in sections:
        for index, item in enumerate(items):
            if not item.id.startswith(model.loss + "/"):
                raise _error(
                    document, (key, index, "id"), f"found {item.id!r}, expected an id that starts with {model.loss}/"
                )
            if item.id in seen:
                raise _error(document, (key, index, "id"), f"duplicate id {item.id!r}")
            seen[item.id] = index
    for index, case in enumerate(model.cases):
        for flag in case.flags:
            if flag not in model.flags:
                raise _error(
                    document, ("cases", index, "flags"), f"undefined flag {flag!r}, defined are {sorted(model.flags)}"
                )


def _formula(model: SpecModel, document: Document, similarity: str | None) -> Gradients:
    if similarity is not None and similarity not in SIMILARITIES:
        raise _error(
            document, ("params", "similarity", "choices"), f"found {similarity!r}, expected {sorted(SIMILARITIES)}"
        )
    build = Builder()
    names = {name: build("input", payload=name, vector=spec.dims == ["B", "D"]) for name, spec in model.inputs.items()}
    names |= {name: build("param", payload=name) for name, spec in model.params.items() if spec.choices is None}
    leaves = dict(names)
    parser = Parser(build, names, similarity)
    for name, text in model.formula.where.items():
        if name in names:
            raise _error(document, ("formula", "where", name), f"{name!r} is already defined")
        names[name] = parser.parse(text, document.place(("formula", "where", name)))
    loss = _scalar(parser, model.formula.loss, document, ("formula", "loss"))
    associations = []
    for index, entry in enumerate(model.formula.associations):
        text, when = (entry.loss, entry.when) if isinstance(entry, Association) else (entry, {})
        if when.get("similarity", similarity) == similarity:
            associations.append(_scalar(parser, text, document, ("formula", "associations", index)))
    used = topological([loss])
    inputs = tuple(_input(name, leaves[name], model, used) for name in model.inputs)
    for item in inputs:
        if leaves[item.name] not in used:
            raise _error(document, ("inputs", item.name), "the formula does not use this input")
    formula = Formula(loss, tuple(associations), inputs, tuple(model.gradient_of), tuple(names.items()))
    wrt = {name: leaves[name] for name in model.gradient_of}
    return Gradients(formula, tuple(gradients(build, formula.evaluations, wrt)))


def _scalar(parser: Parser, text: str, document: Document, path: Path_) -> Node:
    node = parser.parse(text, document.place(path))
    if node.vector:
        raise _error(document, path, "the loss of an example must be a scalar, this is a vector over D")
    return node


def _input(name: str, node: Node, model: SpecModel, used: list[Node]) -> Input:
    """An input that is not differentiated is a label: hard if the formula only compares it, else soft."""
    if name in model.gradient_of:
        return Input(name, node.vector)
    computed = any(node in (user.args[2:] if user.op == "where" else user.args) for user in used)
    return Input(name, node.vector, "soft" if computed else "hard")


def _params(model: SpecModel, document: Document, given: Mapping[str, str], path: Path_, *, valid: bool) -> Parameters:
    result: dict[str, Param] = {}
    for name, text in given.items():
        if name not in model.params:
            raise _error(document, (*path, name), f"unknown parameter {name!r}, expected one of {sorted(model.params)}")
        choices = model.params[name].choices
        value = result[name] = text if choices else param_value(text)
        if not valid:
            continue
        if choices and text not in choices:
            raise _error(document, (*path, name), f"found {text!r}, expected one of {choices}")
        if not choices and not (isinstance(value, float) and math.isfinite(value) and value >= 0):
            raise _error(document, (*path, name), f"found {text!r}, expected a finite hex float of at least 0")
    return result


def _case(model: SpecModel, document: Document, index: int, inputs: tuple[Input, ...]) -> Case:
    case = model.cases[index]
    path: Path_ = ("cases", index)
    refused = case.expect.error is not None
    if set(case.inputs) != {item.name for item in inputs}:
        expected = [item.name for item in inputs]
        raise _error(document, (*path, "inputs"), f"found inputs {list(case.inputs)}, expected {expected}")
    arrays = {item.name: _array(document, (*path, "inputs", item.name), case.inputs[item.name]) for item in inputs}
    if not refused:
        _check_arrays(document, path, arrays, inputs)
        _check_expected(document, path, case, arrays)
    integer = frozenset(name for name, rows in case.inputs.items() if all(type(x) is int for x in _flat(rows)))
    dtypes = tuple(case.dtypes) if case.dtypes else tuple(DTYPES)
    if not refused:
        _check_representable(document, path, arrays, dtypes)
    params = _params(model, document, case.params, (*path, "params"), valid=not refused)
    return Case(
        case.id, model.loss, params, arrays, tuple(case.flags), case.why, dtypes, integer, case.expect.error, case
    )


def _flat(rows: Any) -> list[Any]:
    return [x for row in rows for x in (row if isinstance(row, list) else [row])]


def _array(document: Document, path: Path_, rows: Any) -> F64:
    lengths = {len(row) if isinstance(row, list) else None for row in rows}
    if len(lengths) != 1:
        raise _error(document, path, f"ragged list: rows of {sorted(map(str, lengths))} numbers")
    values = [float(x) if type(x) is int else numbers.parse(x) for x in _flat(rows)]
    width = lengths.pop()
    return np.array(values, dtype=np.float64).reshape(len(rows) if width is None else (len(rows), width))


def _check_arrays(document: Document, path: Path_, arrays: Mapping[str, F64], inputs: tuple[Input, ...]) -> None:
    """Embeddings share [B, D], everything else is [B]; labels lie in their range."""
    batch = len(next(iter(arrays.values())))
    width = next((array.shape[-1] for array in arrays.values() if array.ndim == 2), 0)
    for item in inputs:
        array, expected = arrays[item.name], (batch, width) if item.vector else (batch,)
        where = (*path, "inputs", item.name)
        if array.shape != expected:
            raise _error(document, where, f"wrong shape {list(array.shape)}, expected {list(expected)}")
        if item.label and not np.all(np.isnan(array) | ((array >= 0) & (array <= 1))):
            raise _error(document, where, "a label lies in [0, 1]")
        if item.label == "hard" and not np.all(np.isnan(array) | (array == 0) | (array == 1)):
            raise _error(document, where, "this label is 0 or 1")


def _check_expected(document: Document, path: Path_, case: CaseModel, arrays: Mapping[str, F64]) -> None:
    given = case.expect.model_fields_set
    if given and given != {"value", "mean", "grad"}:
        expected = "value, mean and grad, or nothing before lossmark certify"
        raise _error(document, (*path, "expect"), f"found only {', '.join(sorted(given))}, expected {expected}")
    batch = len(next(iter(arrays.values())))
    if case.expect.value is not None and len(case.expect.value) != batch:
        raise _error(document, (*path, "expect", "value"), f"{len(case.expect.value)} values for a batch of {batch}")
    for name, rows in (case.expect.grad or {}).items():
        where = (*path, "expect", "grad", name)
        if name not in arrays:
            raise _error(document, where, f"gradient of an unknown input {name!r}")
        shape = tuple([len(rows)] + ([len(rows[0])] if rows and isinstance(rows[0], list) else []))
        if shape != arrays[name].shape or any(isinstance(row, list) and len(row) != shape[1] for row in rows):
            raise _error(document, where, f"wrong shape {list(shape)}, expected {list(arrays[name].shape)}")


def _check_representable(document: Document, path: Path_, arrays: Mapping[str, F64], dtypes: tuple[str, ...]) -> None:
    for name, array in arrays.items():
        for dtype in dtypes:
            held = DTYPES[dtype].holds(array) | np.isnan(array)
            if not held.all():
                value = numbers.canonical(float(array[~held].flat[0]))
                raise _error(document, (*path, "inputs", name), f"{value} is not representable in {dtype}")
