"""What a judgement of somebody's own results comes to, as types; cheap to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64


@dataclass(frozen=True)
class Conformity:
    """What a judgement found that something conforms by.

    ``budget_used`` is the largest share of a bound that an error takes, ``error_ulp`` the largest error in units in
    the last place (None where no finite number was judged). ``condition`` is ``Σ|x·∂L/∂x| / |L|``: how many times
    larger relative changes of the inputs are in the value; None where the gradient of a large batch was not asked for.
    ``judged`` counts the numbers that were held to their bounds, ``unjudged`` those that were not: of rows left out, or
    where any number conforms, or where the bound exceeds a quarter of the exact values. ``grade`` is ``accurate``, or
    says by what lower standard something conforms: ``textbook``, for one.
    """

    budget_used: float
    error_ulp: float | None
    condition: float | None
    judged: int
    unjudged: int
    grade: str


class NonConforming(AssertionError):  # noqa: N818 (what it says reads better so)
    """A result is not what the formula gives; its text says which element, how far off, how far is allowed, and why.

    ``worst`` has the label, index, got, expected, bound and ulp of the worst element; None where the shape or the dtype
    is wrong already.
    """

    __module__ = "lossmark.testing"  # as people know it, and as their test runners call it

    def __init__(self, text: str, worst: Mapping[str, Any] | None = None):
        super().__init__(text)
        self.worst = worst


@dataclass(frozen=True)
class Allowance:
    """Exact numbers, and how far from them a result conforms, as float64 arrays in the shape of the result.

    A ``bound`` of 0 means bit for bit, one of infinity that any number conforms. Where ``exact`` is not finite the same
    is expected. ``rows`` numbers the examples that were read, None where all were: the arrays then have these alone.
    ``grads`` has the same of the gradient by each input.
    """

    exact: F64
    bound: F64
    grads: Mapping[str, Allowance] = field(default_factory=dict)
    rows: NDArray[np.intp] | None = None
