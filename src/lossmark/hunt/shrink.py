"""A find is made simple: number by number, as long as it does not conform and stays about as far beyond its bound."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from ..dtypes import DTYPES
from ..golden.counterexample import Counterexample
from ..specification.case import Case
from .catch import Catch, caught
from .examine import ROWS_OF_A_CALL, Examiner, Unanswered
from .ground import together

TRIALS = 1024
"""Candidates that are tried; then what has been found so far is simple enough."""
AS_FAR = 0.5
"""The part of the share of its bound that a find keeps: at the mere border of what conforms it would show little."""


def shrunk(examiner: Examiner, catch: Catch) -> Counterexample:
    """The simplest case near a find that still does not conform by the same check.

    It is one example, if that fails in a call of its own too; else a batch that repeats it.
    """
    trials, last, least = 0, None, AS_FAR * catch.budget_used
    while trials < TRIALS and catch is not last:
        last = catch
        simpler = list(_simpler(catch.case, examiner))
        for start in range(0, len(simpler), examiner.most()):
            some = simpler[start : start + examiner.most()]
            trials += len(some)
            found = _first(examiner, some, catch.check, least)
            if found is not None:
                catch = found
                break
    alone = _beyond(catch.case, examiner, catch.check)
    case = catch.case if alone else together([catch.case] * ROWS_OF_A_CALL)
    detail = (alone or catch).detail
    return Counterexample(case, examiner.quarry.target.name, examiner.quarry.dtype, detail)


def _first(examiner: Examiner, cases: list[Case], check: str, least: float) -> Catch | None:
    """The first of the candidates that does not conform, with at least so large a share of its bound."""
    try:
        found = examiner(cases)
    except Unanswered:
        return None
    for case, cells in zip(cases, found, strict=True):
        for catch in caught(case, cells):
            if catch.beyond and catch.check == check and catch.budget_used >= least:
                return catch
    return None


def _beyond(case: Case, examiner: Examiner, check: str) -> Catch | None:
    try:
        found = caught(case, examiner.alone(case))
    except Unanswered:
        return None
    return next((catch for catch in found if catch.beyond and catch.check == check), None)


def _simpler(case: Case, examiner: Examiner) -> Iterator[Case]:
    """The case with one number of it simpler, the simplest numbers first."""
    dtype = DTYPES[examiner.quarry.dtype]
    found = []
    for item in examiner.loss.inputs:
        whole = item.label in ("hard", "class", "index")
        movable = item.name not in case.absent and (not item.shared or item.name in examiner.loss.gradient_of)
        for place, x in enumerate(case.inputs[item.name].reshape(-1).tolist() if movable else ()):
            for number in (
                [0.0] if whole else [0.0, math.copysign(1.0, x), *(_rounded(x, bits) for bits in range(1, dtype.p))]
            ):
                if _length(number) < _length(x):
                    found.append((_length(number), item.name, place, number))
    for _, name, place, number in sorted(set(found)):
        array = case.inputs[name].copy()
        array.reshape(-1)[place] = number
        yield replace(case, inputs={**case.inputs, name: array})


def _rounded(x: float, bits: int) -> float:
    """The number with so many significant bits, towards 0."""
    mantissa, exponent = math.frexp(x)
    return math.ldexp(math.trunc(math.ldexp(mantissa, bits)), exponent - bits)


def _length(x: float) -> tuple[int, int]:
    """How long a number is to write: its significant bits, and how far its exponent is from 0."""
    mantissa, exponent = math.frexp(abs(x))
    whole = int(math.ldexp(mantissa, 53))
    return (0, 0) if whole == 0 else (53 - (whole & -whole).bit_length() + 1, abs(exponent))
