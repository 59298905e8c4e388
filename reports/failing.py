"""A cell that does not conform, told in full: input, numbers, bound, what it looks like, how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lossmark.dtypes import DTYPES
from lossmark.registry import losses
from lossmark.results import Cell
from lossmark.spec.loss import Case, Loss
from lossmark.spec.numbers import canonical

from . import looks
from .cells import MARKS, anchor
from .inputs import key

SHOWN = 300
"""Cells that are told in full; of the rest there are rows."""
NUMBERS = 24


def told(cells: Sequence[Cell], sources: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every failing cell, the first :data:`SHOWN` with all that is known of them."""
    wrong = [cell for cell in cells if cell.verdict in ("fail", "error")]
    return [_told(cell, sources) for cell in wrong[:SHOWN]]


def _told(cell: Cell, sources: Mapping[str, str]) -> dict[str, Any]:
    loss = losses().get(cell.loss)
    case = loss.case(cell.case) if loss else None
    return {
        "anchor": anchor(key(cell)),
        "mark": MARKS[cell.verdict],
        "cell": cell,
        "why": case.why if case else "",
        "inputs": list(_inputs(case)) if case else [],
        "formula": loss.model.formula.loss if loss else "",
        "bound": _bound(loss, cell),
        "looks_like": looks.like(cell, case),
        "command": command(cell, sources),
    }


def _inputs(case: Case) -> Iterator[tuple[str, str]]:
    for name, value in case.params.items():
        yield name, repr(value)
    for name, array in case.inputs.items():
        flat = [f"{x:g} ({canonical(float(x))})" for x in array.ravel()[:NUMBERS]]
        more = ", …" if array.size > NUMBERS else ""
        yield f"{name} {list(array.shape)}", ", ".join(flat) + more


def _bound(loss: Loss | None, cell: Cell) -> str:
    dtype = DTYPES.get(cell.dtype)
    if loss is None or dtype is None or cell.check not in ("value", "gradient"):
        return ""
    return (
        f"running error of the formula in {dtype.name}: u = 2^-{dtype.p} per rounding, sums in any order with "
        f"a = 2^-{dtype.accumulator_p}, 0 where every step is exact; the largest over "
        f"{1 + len(loss.model.formula.associations)} equal evaluations"
    )


def command(cell: Cell, sources: Mapping[str, str]) -> str:
    """The command that repeats just this case."""
    words = ["pytest", "conformance", "--impl", sources.get(cell.impl, cell.impl), "--case", cell.case]
    return shlex.join([*words, "--device", cell.device, "--dtype", cell.dtype, "--mode", cell.mode])
