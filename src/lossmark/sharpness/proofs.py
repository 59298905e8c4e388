"""Certified kills: a mutant that is a formula is held against the spec as formulas, without running any code.

Where what the mutant may compute (its formula through the same bound reading) and what conforms do not overlap, every
implementation of that formula fails: the kill is proved, not observed. As the suite asks of 16-bit sums, mutants are
computed in float32 there and rounded once, to the dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..dtypes import DTYPES, FLOAT32, DType
from ..specification.assemble import assemble
from ..specification.case import Case
from ..specification.loss import Loss
from ..tolerance.acceptance import Acceptance, Expected, Kink
from ..tolerance.expected import expected_of_many


def mutated(loss: Loss, formula: str) -> Loss:
    """The loss with ``formula`` in place of its own, and without cases; raises :class:`LossmarkError` for bad ones."""
    data = {**loss.document.data, "cases": [], "families": [], "properties": []}
    data["formula"] = {**{k: v for k, v in data["formula"].items() if k != "associations"}, "loss": formula}
    return assemble(replace(loss.document, data=data))


def certified(loss: Loss, formula: str) -> dict[str, str]:
    """By dtype, the id of the first golden case on which no implementation of ``formula`` can pass."""
    other = mutated(loss, formula)
    found: dict[str, str] = {}
    for dtype in DTYPES.values():
        case = _separated(loss, other, loss.golden(dtype.name), dtype)
        if case is not None:
            found[dtype.name] = case.id
    return found


def _separated(loss: Loss, other: Loss, cases: Sequence[Case], dtype: DType) -> Case | None:
    """The first case on which what the mutant ``other`` may compute and what conforms do not overlap."""
    weights = [np.ones(case.batch) for case in cases]
    spec = expected_of_many(loss, cases, dtype, weights, ("sum",))
    mutant = expected_of_many(other, cases, FLOAT32 if dtype.p < FLOAT32.p else dtype, weights, ("sum",))
    for case, right, wrong in zip(cases, spec, mutant, strict=True):
        if _disjoint(right, wrong, dtype):
            return case
    return None


def _disjoint(right: Expected, wrong: Expected, dtype: DType) -> bool:
    """Whether some value or gradient of the two cannot be the same; rows at a kink are left out of gradients."""
    if _apart(right.values["none"], wrong.values["none"], dtype).any():
        return True
    kinked = [kink.rows for kink in (right.kinks["sum"], wrong.kinks["sum"]) if isinstance(kink, Kink)]
    for name, accepted in right.gradients["sum"].items():
        apart = _apart(accepted, wrong.gradients["sum"][name], dtype)
        for rows in kinked:
            apart[rows] = False
        if apart.any():
            return True
    return False


def _apart(right: Acceptance, wrong: Acceptance, dtype: DType) -> NDArray[np.bool_]:
    """Where two finite, specified numbers lie further apart than their errors and one rounding of the wrong one."""
    with np.errstate(all="ignore"):
        size = np.abs(wrong.exact) + wrong.bound
        rounding = dtype.u * size + np.where(size < dtype.smallest_normal, dtype.smallest_normal, 0.0)
        apart = np.abs(right.exact - wrong.exact) > (right.bound + wrong.bound + rounding) * (1 + 2.0**-50)
    for part in (right, wrong):
        apart &= np.isfinite(part.exact) & np.isfinite(part.bound)
        for mark in (part.also.bits, part.unspecified):
            if mark is not None:
                apart &= mark == 0
    return np.asarray(apart)
