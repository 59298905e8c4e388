"""The exact numbers of a golden case in every dtype: those that its spec certifies, and what follows from them.

A spec certifies the values of ``none`` and ``mean`` and the gradient of ``sum``. The others, and what is left of each
beyond float64, are of the wide reading in double-double, which must agree with the certified ones
within the bound of float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dtypes import FLOAT64
from ..errors import CertificationError
from ..specification.case import Case
from ..specification.hexfloat import parse
from ..specification.model import OneOf
from ..tolerance.acceptance import Acceptance, Expected, Kink
from .allowed import Exactly


@dataclass(frozen=True)
class ExactResults:
    """The exact value of each reduction, and the gradient of each by every input."""

    value: Mapping[str, Exactly]
    gradient: Mapping[str, Mapping[str, Exactly]]

    @classmethod
    def of(cls, case: Case, wide: Expected) -> ExactResults:
        """Those of a case from what it expects in float64.

        Raises :class:`CertificationError` where its spec certifies nothing, or something else.
        """
        certified = None if case.golden is None else case.golden.expect
        if certified is None or certified.value is None:
            raise CertificationError(f"{case.id}: nothing is certified, run: lossmark certify")
        value = {reduction: Exactly.of(found) for reduction, found in wide.values.items()}
        gradient = {
            reduction: {name: Exactly.of(found) for name, found in slopes.items()}
            for reduction, slopes in wide.gradients.items()
        }
        for reduction, leaf in (("none", certified.value), ("mean", certified.mean)):
            value[reduction] = _certified(wide.values[reduction], leaf, f"{case.id}: {reduction}")
        for name, leaves in (certified.grad or {}).items():
            gradient["sum"][name] = _certified(
                wide.gradients["sum"][name], leaves, f"{case.id}: gradient by {name}", wide.kinks["sum"]
            )
        return cls(value, gradient)

    def record(self) -> dict[str, Any]:
        """As a file has them."""
        return {
            "value": {reduction: found.record() for reduction, found in self.value.items()},
            "gradient": {
                reduction: {name: found.record() for name, found in slopes.items()}
                for reduction, slopes in self.gradient.items()
            },
        }


def _certified(found: Acceptance, leaf: Any, where: str, kink: Kink | None = None) -> Exactly:
    """The numbers with the certified ones as their heads, where these are single numbers and no side is undecided.

    Where the wide reading is further from one than a rounding, all that is left is lost in its own error.
    """
    read, decided = Exactly.of(found), np.ones(found.shape, bool)
    if kink is not None:
        decided[kink.rows] = False
    free = np.zeros(found.exact.size, bool) if found.unspecified is None else found.unspecified.ravel()
    head, rest, bound = read.head.ravel().copy(), read.rest.ravel().copy(), found.bound.ravel()
    for place, number in enumerate(map(_number, _leaves(leaf))):
        if number is None or not decided.ravel()[place] or head[place] == number:
            continue
        if math.isnan(head[place]) and math.isnan(number):
            continue
        if free[place] or (math.isinf(number) and found.also.allow(np.full(found.shape, number)).ravel()[place]):
            head[place], rest[place] = number, 0.0  # beyond float64 the reading may have NaN
            continue
        away, ulp = float((head[place] - number) + rest[place]), float(FLOAT64.ulp(np.array(number)))
        if not abs(away) <= max(bound[place], ulp):
            raise CertificationError(f"{where}: {number!r} is certified, the wide reading gives {float(head[place])!r}")
        head[place], rest[place] = number, away if abs(away) <= ulp else 0.0
    return Exactly(head.reshape(found.shape), rest.reshape(found.shape))


def _leaves(leaf: Any) -> Iterator[Any]:
    """The numbers, intervals and choices of a nested list, in row-major order."""
    if isinstance(leaf, list):
        for item in leaf:
            yield from _leaves(item)
    else:
        yield leaf


def _number(leaf: Any) -> float | None:
    """A certified number, the first of several that conform; None for the interval of a kink."""
    if isinstance(leaf, str):
        return parse(leaf)
    return parse(leaf.one_of[0]) if isinstance(leaf, OneOf) else None
