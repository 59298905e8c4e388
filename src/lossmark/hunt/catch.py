"""A candidate with what a check says of it, as a hunt keeps it and a file writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import LossmarkError
from ..results.cell import Cell
from ..specification import hexfloat as numbers
from ..specification.case import Case, left_out, param_value
from ..specification.loss import Loss

AIMS = ("budget_used", "error_ulp")
"""What is made as large as can be: the share of the bound, and apart from it the error in ulp."""


@dataclass(frozen=True)
class Catch:
    """A candidate of which a check could be judged."""

    case: Case
    check: str
    error_ulp: float
    budget_used: float
    beyond: bool
    """Whether it does not conform."""
    detail: str = ""

    def by(self, aim: str) -> tuple[bool, float]:
        """By what catches are compared: what does not conform is worse than what does, whatever its error in ulp."""
        return (self.beyond and aim == AIMS[0], self.budget_used if aim == AIMS[0] else self.error_ulp)

    def record(self) -> dict[str, Any]:
        """It as JSON has it; an error that is not finite is a text, ``"inf"``."""
        given = {name: array for name, array in self.case.inputs.items() if name not in self.case.absent}
        return {
            "check": self.check,
            "error_ulp": _finite(self.error_ulp),
            "budget_used": _finite(self.budget_used),
            "beyond": self.beyond,
            "detail": self.detail,
            "params": {k: v if isinstance(v, str) else numbers.canonical(v) for k, v in self.case.params.items()},
            "inputs": {name: numbers.texts(array) for name, array in given.items()},
        }


def caught(case: Case, cells: Mapping[str, Cell]) -> list[Catch]:
    """The catches that a candidate makes: one for each check that could be judged."""
    found = []
    for check, cell in cells.items():
        if cell.verdict in ("pass", "fail", "deviates"):
            beyond, used = cell.verdict == "fail", cell.budget_used
            used = math.inf if used is None and beyond else used or 0.0
            found.append(Catch(case, check, cell.error_ulp or 0.0, used, beyond, cell.detail if beyond else ""))
    return found


def recalled(loss: Loss, record: Mapping[str, Any]) -> Catch:
    """The catch that :meth:`Catch.record` wrote down; raises :class:`LossmarkError` for anything else."""
    try:
        given = {str(name): numbers.numbers_of(rows) for name, rows in record["inputs"].items()}
        params = {str(name): param_value(text) for name, text in record["params"].items()}
        absent = frozenset(item.name for item in loss.inputs if item.name not in given and item.optional is not None)
        dims = {name: axes for name, axes in loss.dims.items() if name in given}
        sizes = Case(loss.id, loss.id, params, given, dims).sizes
        inputs = {item.name: left_out(item, sizes) if item.name in absent else given[item.name] for item in loss.inputs}
        case = Case(f"{loss.id}/hunted", loss.id, params, inputs, loss.dims, absent=absent)
        ulp, used = _number(record["error_ulp"]), _number(record["budget_used"])
        return Catch(case, str(record["check"]), ulp, used, bool(record["beyond"]), str(record["detail"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LossmarkError(f"not a row of a hunt of {loss.id}: {error!r}") from None


def _finite(x: float) -> float | str:
    return x if math.isfinite(x) else numbers.canonical(x)


def _number(x: float | str) -> float:
    return numbers.parse(x) if isinstance(x, str) else float(x)
