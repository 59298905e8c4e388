"""Input that should have been refused and was computed with: what came back must be the number of the formula.

A result that is not finite says aloud that something is wrong; a finite one that is wrong is silent. Where the formula
has no finite number, as for an infinite margin, there is nothing to hold a finite one to: its limit may be one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..dtypes import DTYPES, FLOAT32, DType
from ..sandbox.messages import Returned
from ..specification.case import Case
from ..specification.deviated import counted
from ..specification.loss import Loss
from ..tolerance.expected import expected
from .judgement import judge
from .ordinary import explained
from .prepared import Prepared


def whole_numbers(case: Case, loss: Loss) -> Case:
    """The case with whole numbers for everything that is differentiated by, and a loss that is no whole number.

    Labels alternate, and numeric parameters are one half more than their defaults: a loss that is cast back to integers
    then loses something.
    """
    inputs = {name: np.rint(array) if name in loss.gradient_of else array for name, array in case.inputs.items()}
    for item in loss.inputs:
        if item.label in ("hard", "soft"):
            shape = case.inputs[item.name].shape
            inputs[item.name] = np.resize([0.0, 1.0], shape)
    numeric = {name: x for name, x in loss.params({}).items() if not isinstance(x, str) and name not in loss.integers}
    params = {name: value + 0.5 for name, value in numeric.items()}
    return replace(case, id=f"{case.id} in whole numbers", inputs=inputs, params=params, golden=None)


def silently_wrong(prepared: Prepared, outcome: Returned, reduction: str | None, narrower: Iterable[DType] = ()) -> str:
    """What is wrong with the finite numbers of a result; empty if nothing is.

    They are judged in the dtype of the result, or in the narrowest of ``narrower`` that its inputs had.
    """
    if outcome.array is None:
        return ""
    dtype = min([DTYPES.get(outcome.dtype, FLOAT32), *narrower], key=lambda found: found.p)
    case = prepared.meant
    truth = expected(
        prepared.held_to, case, counted(prepared.run.deviation, dtype), np.ones(case.batch), (), prepared.run.scale
    )
    accepted = truth.values[reduction or "mean"]
    array = outcome.array.astype(np.float64)
    if array.shape == accepted.shape:
        array = np.where(np.isfinite(array) & np.isfinite(accepted.exact), array, accepted.exact)
    result = judge(array, accepted, dtype, reduction or "mean")
    return "" if result.ok else result.note or explained(result)


def in_range(case: Case, loss: Loss) -> NDArray[np.bool_]:
    """The examples ``[B]`` whose indices are in range, or ignored."""
    found = np.ones(case.batch, bool)
    for item in loss.inputs:
        if item.label == "index":
            label = case.inputs[item.name]
            found &= ((label >= 0) & (label < case.sizes[item.index])) | (label == loss.mark(item, case.params))
    return found
