"""Parameters of a loss as its spec states them: numbers in a range, or choices that decide the formula."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from ..formula.defined import DEFINED
from . import hexfloat as numbers
from .case import Param, Parameters, param_value
from .document import Document, Path_
from .model import ParamModel, SpecModel

MAX_COMBINATIONS = 64
"""Each combination of choices has formulas and gradients of its own, which are all made when the spec is read."""


def combinations(model: SpecModel, document: Document) -> list[dict[str, str]]:
    """Every combination of the parameters that have choices, in the order of the spec: one, empty, where none has.

    Raises :class:`SpecError` for too many, and for a choice that a function of the formula language does not know.
    """
    choices = {name: param.choices for name, param in model.params.items() if param.choices is not None}
    for definition in DEFINED.values():
        for choice in choices.get(definition.parameter, ()):
            if choice not in definition.bodies:
                message = f"found {choice!r}, expected {sorted(definition.bodies)}"
                raise document.error(("params", definition.parameter, "choices"), message)
    if math.prod(map(len, choices.values())) > MAX_COMBINATIONS:
        raise document.error(("params",), f"more than {MAX_COMBINATIONS} combinations of choices")
    return [dict(zip(choices, chosen, strict=True)) for chosen in itertools.product(*choices.values())]


def check_defaults(model: SpecModel, document: Document) -> None:
    """Refuse a default that is out of its range or none of the choices; raises :class:`SpecError`."""
    for name, param in model.params.items():
        _check(param, param.default, document, ("params", name, "default"))


def check_when(model: SpecModel, document: Document, when: Mapping[str, str], path: Path_) -> None:
    """Refuse a condition on anything but a choice of a parameter that has choices; raises :class:`SpecError`."""
    for name, text in when.items():
        choices = model.params[name].choices if name in model.params else None
        if not choices or text not in choices:
            message = f"found {text!r}, expected a choice of a parameter that has choices"
            raise document.error((*path, name), message)


def given_values(
    model: SpecModel, document: Document, given: Mapping[str, str], path: Path_, *, valid: bool
) -> Parameters:
    """The values that a case or family at ``path`` gives; raises :class:`SpecError`.

    With ``valid`` they must be choices or lie in range: a case that is to be refused may give any.
    """
    result: dict[str, Param] = {}
    for name, text in given.items():
        if name not in model.params:
            message = f"unknown parameter {name!r}, expected one of {sorted(model.params)}"
            raise document.error((*path, name), message)
        param = model.params[name]
        result[name] = text if param.choices else param_value(text)
        if valid:
            _check(param, text, document, (*path, name))
    return result


def _check(param: ParamModel, text: str, document: Document, path: Path_) -> None:
    if param.choices is not None:
        if text not in param.choices:
            raise document.error(path, f"found {text!r}, expected one of {param.choices}")
        return
    value = param_value(text)
    lowest = -math.inf if param.at_least is None else numbers.parse(param.at_least)
    if not (isinstance(value, float) and math.isfinite(value) and value >= lowest):
        expected = "a finite hex float" + (f" of at least {lowest:g}" if param.at_least is not None else "")
        raise document.error(path, f"found {text!r}, expected {expected}")
