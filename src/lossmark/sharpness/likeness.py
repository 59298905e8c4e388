"""What a wrong number looks like: the mutant whose formula gives it, or a factor that is known."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..dtypes import DTYPES
from ..errors import LossmarkError
from ..results.cell import Cell
from ..rooms import room
from ..specification.case import Case
from ..specification.library import losses
from ..specification.loss import Loss
from ..specification.validate import entries
from ..tolerance.expected import expected
from .mutants import CatalogueEntry
from .proofs import mutated

SCOREBOARD = room("reports") / "results" / "sharpness.json"
WORST = re.compile(r"(\w+)(?: by \w+)?(?:\[(\d+)[^\]]*\])?: got (\S+) \(.*?\), expected (\S+) \(")
"""The worst element as the detail of a cell tells it: how older results have it, without the key ``worst``."""
LABEL = re.compile(r"(\w+)(?: by \w+)?")
"""The label of a worst element that can be looked up: a reduction, and the input that a gradient is by."""
FACTORS = (
    (0.5, "half of the loss: a factor ½"),
    (2.0, "twice the loss: a factor 2"),
    (-1.0, "the loss with the other sign: the roles of two arguments, or of the labels, exchanged"),
)
NEAR = 1e-3
"""How near a quotient has to be to a factor, relatively."""


@dataclass(frozen=True)
class WrongNumber:
    """The worst element of a cell: under which reduction, in which row, and the two numbers."""

    reduction: str
    row: int
    got: float
    right: float


def like(cell: Cell, case: Case | None) -> str:
    """What a failing cell looks like, in words; empty where nothing known gives such a number.

    ``case`` is the golden case of the cell, None for a family.
    """
    wrong = _wrong_number(cell)
    if wrong is None:
        return ""
    mutant = _mutant(cell, case, wrong) if case and cell.check == "value" else ""
    batch = case.batch if case else 1
    sums = [(float(batch), "the sum where the mean is meant"), (1 / batch, "the mean where the sum is meant")]
    return mutant or next(simply(wrong.got, wrong.right, sums if batch > 2 else ()), "")


def _wrong_number(cell: Cell) -> WrongNumber | None:
    """The worst element as the cell has it, or as its detail tells it; None where there is no such element."""
    if cell.worst is not None:
        label, index = LABEL.fullmatch(cell.worst["label"]), cell.worst["index"]
        got, right = cell.worst["got"], cell.worst["expected"]
        if label is None or abs(got - right) <= cell.worst["bound"]:  # then it is something else that is wrong
            return None
        return WrongNumber(label[1], index[0] if index else 0, got, right)
    found = WORST.match(cell.detail)
    if found is None:
        return None
    try:
        return WrongNumber(found[1], int(found[2] or 0), float(found[3]), float(found[4]))
    except ValueError:
        return None


def simply(got: float, right: float, more: Sequence[tuple[float, str]] = ()) -> Iterator[str]:
    """What is known of such a number without any formula, the likeliest first; ``more`` are factors and their words."""
    if got != got and right == right:
        yield "NaN where the formula has a number: 0·inf, inf - inf, or the gradient of a norm at 0"
    elif abs(got) == float("inf") and abs(right) < float("inf"):
        yield "infinite where the formula is finite: an exp, a square or a product that overflows"
    elif right and got == 0:
        yield "0 where the formula has a number: a term that is missing, detached or saturated"
    elif right:
        yield from (words for factor, words in (*FACTORS, *more) if abs(got / right / factor - 1) < NEAR)


def _mutant(cell: Cell, case: Case, wrong: WrongNumber) -> str:
    """The first mutant whose formula, evaluated as any implementation of it may, gives the number."""
    dtype = DTYPES[cell.dtype]
    for name, why, loss in formulas(cell.loss):
        try:
            found = expected(loss, case, dtype, np.ones(case.batch), ())
        except (LossmarkError, ArithmeticError):
            continue
        accepted = found.values.get(wrong.reduction)
        if accepted is None:
            continue
        value, error = accepted.exact.reshape(-1)[wrong.row], accepted.bound.reshape(-1)[wrong.row]
        if abs(wrong.got - value) <= error:
            return f"{why} (the mutant {name})"
    return ""


@functools.cache
def _loss_of() -> dict[str, str]:
    """The loss of each mutant, as the scoreboard has it."""
    if not SCOREBOARD.is_file():
        return {}
    return {mutant["name"]: mutant["loss"] for mutant in json.loads(SCOREBOARD.read_text(encoding="utf-8"))["mutants"]}


@functools.cache
def formulas(loss_id: str) -> list[tuple[str, str, Loss]]:
    """The mutants of a loss that are formulas, each formula once: name, what it does wrong, and the loss by it.

    A wheel has their catalogue beside the conformance tests.
    """
    try:
        catalogue = room("tests") / "mutants" / "catalogue.yaml"
    except LossmarkError:
        catalogue = room("conformance") / "mutants.yaml"
    known = entries(catalogue, CatalogueEntry)
    found: dict[str, tuple[str, str, Loss]] = {}
    for name, entry in known.items():
        if entry.formula and _loss_of().get(name) == loss_id:
            try:
                found.setdefault(entry.formula, (name, entry.why, mutated(losses()[loss_id], entry.formula)))
            except LossmarkError:
                continue
    return list(found.values())
