"""From a spec file to a :class:`Loss`, or a refusal in one line that names file, line and key.

The models of ``model.py`` check form; here names, ids, flags, the host and the curve are checked, and the modules for
formulas, parameters, cases and laws check the rest. Expected values are checked by ``lossmark certify``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..dtypes import DTYPES
from ..formula.tree import BATCH, EMBEDDING, Formula, Input
from . import hexfloat as numbers
from .case import Family
from .document import Document, read
from .formulas import call_dims, formulas
from .golden_case import golden_case
from .laws import laws
from .loss import Loss
from .model import CaseModel, FamilyModel, IndexLabel, SpecModel
from .parameters import check_defaults, given_values
from .validate import validate

MOST_NUMBERS = 1 << 24
"""So many numbers has the largest array of a family's readings: over two axes, or over those of an input."""
AXES_OF_INPUTS = 3
"""So many axes has an input at most."""


def load(path: Path) -> Loss:
    """Read, validate and assemble one spec file; raises :class:`SpecError`."""
    return assemble(read(path))


def assemble(document: Document) -> Loss:
    """The loss that a parsed document describes; raises :class:`SpecError`."""
    model = validate(SpecModel, document)
    stem = Path(document.file).stem
    if document.file != "<string>" and model.loss != stem:
        raise document.error(("loss",), f"found {model.loss!r}, expected {stem!r} as the file is named")
    _check_names(model, document)
    _check_axes(model, document)
    _check_ids(model, document)
    _check_flags(model, document)
    check_defaults(model, document)
    trees = formulas(model, document)
    _check_borders(model, document, next(iter(trees.values())).formula)
    inputs = next(iter(trees.values())).formula.inputs
    cases = tuple(golden_case(model, document, index, inputs) for index in range(len(model.cases)))
    _check_host(model, document)
    _check_curve(model, document, inputs)
    families = tuple(
        Family(family, given_values(model, document, family.params, ("families", index, "params"), valid=True))
        for index, family in enumerate(model.families)
    )
    return Loss(model, document, cases, families, laws(model, document), trees)


def _check_names(model: SpecModel, document: Document) -> None:
    names = set(model.inputs)
    for index, name in enumerate(model.gradient_of):
        if name not in names:
            message = f"found {name!r}, expected one of the inputs {sorted(names)}"
            raise document.error(("gradient_of", index), message)
    for name in model.params:
        if name in names or name == "reduction":
            raise document.error(("params", name), f"{name!r} cannot name a parameter")


def _check_axes(model: SpecModel, document: Document) -> None:
    """The batch stands first, every axis once; families have the axes of a call, indices number one of them."""
    axes: dict[str, None] = {BATCH: None}
    for name, spec in model.inputs.items():
        dims = call_dims(model, spec.dims)
        if BATCH in dims[1:] or len({*dims}) < len(dims) or len(dims) > AXES_OF_INPUTS:
            message = f"found {list(spec.dims)}, expected three axes at most, each once, and B, where it is, the first"
            raise document.error(("inputs", name, "dims"), message)
        axes |= dict.fromkeys(dims)
    for axis in model.axes:
        if axis == BATCH:
            raise document.error(("axes", axis), "expected an axis beside B")
    for name in model.inputs:
        _check_input(model, document, name, axes)
    for index, family in enumerate(model.families):
        _check_family(model, document, index, family, axes)


def _check_family(
    model: SpecModel, document: Document, index: int, family: FamilyModel, axes: Mapping[str, None]
) -> None:
    """A family gives the length of every axis, and of optional inputs which are drawn."""
    shape = family.shape
    if isinstance(shape, dict) and shape.keys() != axes.keys():
        message = f"found the axes {', '.join(shape)}, expected {', '.join(axes)}"
        raise document.error(("families", index, "shape"), message)
    lengths = dict(zip((BATCH, EMBEDDING), shape, strict=True)) if isinstance(shape, list) else shape
    pairs = [lengths[of] for of in model.axes.values() if of in lengths]
    largest = math.prod(sorted([*lengths.values(), *pairs])[-2:])
    for spec in model.inputs.values():
        largest = max(largest, math.prod(lengths.get(axis, 1) for axis in call_dims(model, spec.dims)))
    if largest > MOST_NUMBERS:
        message = f"found {largest} numbers, expected {MOST_NUMBERS} at most"
        raise document.error(("families", index, "shape"), message)
    for name in family.optional:
        if name not in model.inputs or not model.inputs[name].optional:
            message = f"found {name!r}, expected an input that is optional"
            raise document.error(("families", index, "optional"), message)
    if isinstance(shape, list) and not {*axes} <= {BATCH, EMBEDDING}:
        message = f"found a list, expected a length of each of {', '.join(axes)}"
        raise document.error(("families", index, "shape"), message)


def _check_borders(model: SpecModel, document: Document, formula: Formula) -> None:
    """Rows at the borders of a format are found one by one, which those of a coupled loss cannot be."""
    for index, family in enumerate(model.families):
        if family.distribution == "borders" and formula.coupled:
            message = "a loss whose examples share what it is differentiated by, or are paired, has no borders family"
            raise document.error(("families", index, "distribution"), message)


def _check_input(model: SpecModel, document: Document, name: str, axes: Mapping[str, None]) -> None:
    """An index is a label of the examples along a known axis; what is optional has a default, and no gradient."""
    spec, place = model.inputs[name], ("inputs", name)
    if isinstance(spec.label, str) and (BATCH not in call_dims(model, spec.dims) or name in model.gradient_of):
        raise document.error((*place, "label"), f"a {spec.label} is of each example, and not in gradient_of")
    if isinstance(spec.label, IndexLabel):
        if list(spec.dims) != [BATCH] or name in model.gradient_of:
            raise document.error((*place, "label"), "an index is [B], and not in gradient_of")
        if spec.label.index not in axes or spec.label.index == BATCH:
            raise document.error(
                (*place, "label", "index"), f"found {spec.label.index!r}, expected an axis of the inputs"
            )
        ignore = spec.label.ignore
        if ignore is not None and (ignore not in model.params or model.params[ignore].choices is not None):
            raise document.error(
                (*place, "label", "ignore"), f"found {ignore!r}, expected a number among the parameters"
            )
    if (spec.optional is None) != (spec.default is None) or (
        spec.optional and (name in model.gradient_of or BATCH in call_dims(model, spec.dims))
    ):
        message = "what is optional has a default, is no input of an example and not in gradient_of"
        raise document.error((*place, "optional"), message)


def _check_ids(model: SpecModel, document: Document) -> None:
    """Families and cases share one set of ids, each of which starts with the loss's."""
    seen = set()
    sections: tuple[tuple[str, Sequence[FamilyModel | CaseModel]], ...] = (
        ("families", model.families),
        ("cases", model.cases),
    )
    for key, items in sections:
        for index, item in enumerate(items):
            place = (key, index, "id")
            if not item.id.startswith(model.loss + "/"):
                raise document.error(place, f"found {item.id!r}, expected an id that starts with {model.loss}/")
            if item.id in seen:
                raise document.error(place, f"duplicate id {item.id!r}")
            seen.add(item.id)


def _check_flags(model: SpecModel, document: Document) -> None:
    for index, case in enumerate(model.cases):
        for flag in case.flags:
            if flag not in model.flags:
                message = f"undefined flag {flag!r}, defined are {sorted(model.flags)}"
                raise document.error(("cases", index, "flags"), message)


def _check_host(model: SpecModel, document: Document) -> None:
    """One case at most is the host, and every implementation in every dtype is called with it."""
    hosts = [(index, case) for index, case in enumerate(model.cases) if case.host]
    for number, (index, case) in enumerate(hosts):
        place = ("cases", index, "host")
        if number:
            raise document.error(place, f"a second host: {hosts[0][1].id} is one already")
        if case.expect.error is not None or (case.dtypes is not None and set(case.dtypes) != set(DTYPES)):
            raise document.error(place, "the host is a case for every dtype that is not refused")


def _check_curve(model: SpecModel, document: Document, inputs: tuple[Input, ...]) -> None:
    """Every input but the labels is either moved along or fixed."""
    curve = model.curve
    if curve is None:
        return
    low, high = map(numbers.parse, curve.ends)
    if not -math.inf < low < high < math.inf:
        raise document.error(("curve", "ends"), f"found {curve.ends}, expected two finite numbers in ascending order")
    numeric = {item.name for item in inputs if not item.label}
    if curve.along not in model.gradient_of:
        message = f"found {curve.along!r}, expected an input of gradient_of {model.gradient_of}"
        raise document.error(("curve", "along"), message)
    if {curve.along, *curve.fixed} != numeric or curve.along in curve.fixed:
        expected = sorted(numeric - {curve.along})
        raise document.error(("curve", "fixed"), f"found {sorted(curve.fixed)}, expected values of {expected}")
