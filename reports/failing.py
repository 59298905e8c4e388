"""A cell that does not conform, told in full: input, numbers, bound, what it looks like, how to repeat it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lossmark.dtypes import DTYPES
from lossmark.registry import losses
from lossmark.results import Cell
from lossmark.spec.loss import Case, Loss
from lossmark.spec.numbers import canonical

from .cells import MARKS, anchor
from .inputs import key

SHOWN = 300
"""Cells that are told in full; of the rest there are rows."""
NUMBERS = 24
GOT = re.compile(r"got (\S+) \(.*?\), expected (\S+) \(")
TELLTALES = (
    (0.5, "half of the loss: a factor ½"),
    (2.0, "twice the loss: a factor 2"),
    (-1.0, "the loss with the other sign: the roles of two arguments, or of the labels, exchanged"),
)
NEAR = 1e-3


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
        "looks_like": "; ".join(_looks_like(cell, case)),
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


def _looks_like(cell: Cell, case: Case | None) -> Iterator[str]:
    """What is known to give such numbers."""
    found = GOT.search(cell.detail)
    if found is None:
        return
    try:
        got, expected = float(found[1]), float(found[2])
    except ValueError:
        return
    if got != got and expected == expected:
        yield "NaN where the formula has a number: 0·inf, inf - inf, or the gradient of a norm at 0"
    elif abs(got) == float("inf") and abs(expected) < float("inf"):
        yield "infinite where the formula is finite: an exp, a square or a product that overflows"
    elif expected and got == 0:
        yield "0 where the formula has a number: a term that is missing, detached or saturated"
    elif expected:
        batch = case.batch if case else 1
        sums = [(float(batch), "the sum where the mean is meant"), (1 / batch, "the mean where the sum is meant")]
        scales = [*TELLTALES, *(sums if batch > 2 else ())]
        yield from (words for scale, words in scales if abs(got / expected / scale - 1) < NEAR)


def command(cell: Cell, sources: Mapping[str, str]) -> str:
    """The command that repeats just this case."""
    words = ["pytest", "conformance", "--impl", sources.get(cell.impl, cell.impl), "--case", cell.case]
    return shlex.join([*words, "--device", cell.device, "--dtype", cell.dtype, "--mode", cell.mode])
