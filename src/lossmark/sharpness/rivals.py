"""What other ways of comparing would see of the same results: fixed tolerances, values only, random inputs only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks.ordinary import Judged
from ..sandbox.messages import Failure, Returned
from ..specification.case import Family
from ..tolerance.acceptance import Acceptance

Tolerance = tuple[float, float]
"""Relative and absolute tolerance."""
TORCH_TESTING: Mapping[str, Tolerance] = {
    "float64": (1e-7, 1e-7), "float32": (1.3e-6, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float16": (1e-3, 1e-5),
}  # fmt: skip
"""The defaults of torch.testing.assert_close."""


@dataclass(frozen=True)
class Rival:
    """A way of comparing: ``sees(judged, wrong)`` says whether it would call the results wrong.

    ``wrong`` holds the checks that lossmark fails.
    """

    name: str
    sees: Callable[[Judged, frozenset[str]], bool]


def _pairs(judged: Judged, gradients: bool, mean_only: bool) -> Iterator[tuple[NDArray[np.float64] | None, Acceptance]]:
    """Results (None: there is none) with what is exact."""
    truth, answer = judged.truth, judged.answer
    for reduction, outcome in answer.values.items():
        if not mean_only or reduction in (None, "mean"):
            array = outcome.array if isinstance(outcome, Returned) else None
            yield None if array is None else array.astype(np.float64), truth.values[reduction or "mean"]
    for reduction, found in answer.gradients.items() if gradients else ():
        for name, accepted in truth.gradients[reduction or "mean"].items():
            if isinstance(found, Failure):
                yield None, accepted
            else:
                yield found.get(name, np.zeros(accepted.shape)).astype(np.float64), accepted


def _close(rtol: float, atol: float, judged: Judged, gradients: bool = True, mean_only: bool = False) -> bool:
    """Whether all results are within a tolerance of the exact ones, as ``numpy.allclose`` has it."""
    for got, accepted in _pairs(judged, gradients, mean_only):
        if got is None or got.shape != accepted.shape:
            return False
        if not np.allclose(got, judged.dtype.round(accepted.exact), rtol, atol, equal_nan=True):
            return False
    return True


def _random(judged: Judged) -> bool:
    """Whether the inputs are what a random generator gives: rows at the borders of a format are searched for."""
    case = judged.run.case
    return isinstance(case, Family) and case.model.distribution != "borders"


LOSSMARK = "lossmark"
"""The name of lossmark itself among the ways of comparing."""
RIVALS = (
    Rival(LOSSMARK, lambda j, wrong: bool(wrong)),
    Rival("lossmark, values only", lambda j, wrong: "value" in wrong),
    Rival("lossmark, random inputs only", lambda j, wrong: _random(j) and bool(wrong)),
    Rival("torch.testing defaults on lossmark's cases", lambda j, wrong: not _close(*TORCH_TESTING[j.dtype.name], j)),
    Rival("rtol 1e-5, atol 1e-8 on lossmark's cases", lambda j, wrong: not _close(1e-5, 1e-8, j)),
    Rival("rtol 1e-3, atol 1e-8 on lossmark's cases", lambda j, wrong: not _close(1e-3, 1e-8, j)),
    Rival("torch.testing defaults, random inputs, values and gradients",
          lambda j, wrong: _random(j) and not _close(*TORCH_TESTING[j.dtype.name], j)),
    Rival("rtol 1e-3, random inputs, values under mean",
          lambda j, wrong: _random(j) and not _close(1e-3, 1e-8, j, False, True)),
)  # fmt: skip
