"""A cell that does not conform, in full: input, numbers, bound, what it looks like, how to repeat it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lossmark.adapters.registry import Reference
from lossmark.checks.run import repeat
from lossmark.dtypes import DTYPES
from lossmark.results.cell import Cell
from lossmark.sharpness.likeness import like
from lossmark.specification.case import Case
from lossmark.specification.library import losses
from lossmark.specification.loss import Loss
from lossmark.suite.failure_text import derivation, shown

from .cells import MARKS, anchor
from .inputs import key

SHOWN = 300
"""Cells of a page that are shown in full; the rest is in the table of all cells."""


def told(cell: Cell, sources: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the template shows of a failing cell.

    ``sources`` says, by name, where an implementation was loaded from.
    """
    loss = losses().get(cell.loss)
    case = loss.case(cell.case) if loss else None
    reference = Reference(sources.get(cell.impl, cell.impl), cell.impl, cell.framework)
    return {
        "anchor": anchor(key(cell)),
        "mark": MARKS[cell.verdict],
        "cell": cell,
        "why": case.why if case else "",
        "inputs": list(_inputs(case)) if case else [],
        "formula": loss.model.formula.loss if loss else "",
        "bound": _bound(loss, cell),
        "looks_like": like(cell, case),
        "command": repeat(reference, cell.case, cell.device, cell.dtype, cell.mode),
    }


def _inputs(case: Case) -> Iterator[tuple[str, str]]:
    yield from ((name, repr(value)) for name, value in case.params.items())
    yield from ((name, shown(array)) for name, array in case.inputs.items())


def _bound(loss: Loss | None, cell: Cell) -> str:
    judged = loss is not None and cell.dtype in DTYPES and cell.check in ("value", "gradient")
    return derivation(loss, DTYPES[cell.dtype]) if judged else ""
