"""What one format's arithmetic does to a number: one rounding, underflow, and when neither happens.

The model is fl(w) = w(1 + δ) + η with |δ| ≤ u and η only where the result may be below the smallest normal number
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 2.2). Here ``v`` is an exact result and ``e``
bounds how far the number to be rounded is from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType, accumulator_of
from .double_double import Wide
from .overflow import Bounded

ULPS: Mapping[str, float] = {
    "exp": 4, "expm1": 4, "log": 4, "log1p": 4, "log1mexp": 8, "xlogy": 4, "softplus": 4, "sigmoid": 4, "tanh": 6,
    "logcosh": 4, "power": 4,
}  # fmt: skip
"""Units in the last place granted to a transcendental function.

``sigmoid`` gets |x| more, for exp(x - softplus(x)), and ``power`` 3|y·log x|, for exp(y·log(x)) with a logarithm within
one unit. ``log1mexp`` has an exp inside a log. The rational tanh of Eigen is off by 5.8 units in float32, that of XLA
by 4.8. Those of ``xlogy`` are granted to its logarithm; those of exp and log hold inside ``lse`` and ``softmax`` too.
"""
_NOTHING = np.zeros((1, 1))


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic of one format, for the rules of the bound reading.

    ``textbook`` says whether the squares inside a norm, and the products in its gradient, may underflow.
    """

    dtype: DType
    textbook: bool = False

    def eta(self, v: Wide, e: F64) -> F64:
        """The underflow unit η: 0 where |v| - e is a normal number, else at most what flushing to zero loses.

        That is min(|v| + e, smallest normal). Where the format asks for gradual underflow, half of the smallest
        subnormal number.
        """
        size = np.abs(v.hi)
        tiny = self.dtype.smallest_normal
        normal = size - e >= tiny
        if normal.all():
            return _NOTHING
        if self.dtype.gradual:
            return np.where(normal, 0.0, 2.0 ** (self.dtype.emin - self.dtype.p))
        return np.where(normal, 0.0, np.minimum(size + e, tiny))

    def holds(self, v: Wide) -> NDArray[np.bool_]:
        """Where a number is one of the format, so that a correctly rounded operation gives it exactly."""
        held = self.dtype.holds(v.hi)
        return held if v.lo is None else held & (v.lo == 0)

    def round(self, v: Wide, e: F64) -> F64:
        """The error after one rounding: e + u(|v| + e) + η, without u where e = 0 and the format holds v."""
        rounding = self.dtype.u * (np.abs(v.hi) + e)
        untouched = e == 0
        if untouched.any():
            rounding = np.where(untouched & self.holds(v), 0.0, rounding)
        return e + rounding + self.eta(v, e)

    @property
    def summing(self) -> Arithmetic:
        """The arithmetic that the terms of a sum are computed in: the accumulator's where that is coarser."""
        coarser = self.dtype.accumulator_p < self.dtype.p
        return Arithmetic(accumulator_of(self.dtype), self.textbook) if coarser else self

    def entering(self, v: Wide, e: F64) -> F64:
        """The error of numbers that enter a sum: one rounding more where its accumulator is coarser than the format."""
        summing = self.summing
        return e if summing is self else summing.round(v, e)

    def round_inexact(self, v: Wide, e: F64, units: float) -> F64:
        """The error after ``units`` roundings: e + units·u(|v| + e) + η.

        For derivatives, whose steps are not exact even where the format holds the result.
        """
        return e + units * self.dtype.u * (np.abs(v.hi) + e) + self.eta(v, e)


def product_error(x: Bounded, y: Bounded) -> F64:
    """The propagated error of x·y: |x|e_y + |y|e_x + e_x·e_y; an infinite factor adds none to one that has none."""
    e = x.size * y.e + y.size * x.e + x.e * y.e
    if np.isnan(e).any():
        parts = ((x.size, y.e), (y.size, x.e), (x.e, y.e))
        e = sum((np.where((error == 0) & np.isinf(size), 0.0, size * error) for size, error in parts), np.zeros(()))
    return e


def quotient_error(v: Wide, x: Bounded, y: Bounded) -> F64:
    """The propagated error of v = x/y: (e_x + |v|e_y) / (|y| - e_y), ∞ where a computed y may be 0.

    From x̂/ŷ - v = ((x̂ - x) - v(ŷ - y)) / ŷ.
    """
    low = y.size - y.e
    return np.where(low > 0, (x.e + np.abs(v.hi) * y.e) / np.where(low > 0, low, 1.0), np.inf)


def exact_in_any_order(grid: F64, mass: F64, p: int) -> NDArray[np.bool_]:
    """Where every partial sum of terms, in any order, has at most ``p`` significant bits.

    All terms are multiples of ``grid``, so a partial sum needs no bit below it, and none above the ``mass``, the sum
    of magnitudes.
    """
    return np.asarray(mass <= np.ldexp(np.where(np.isfinite(grid), grid, 1.0), p))


def grid_of(terms: F64, lows: F64 | None, axis: int) -> F64:
    """The lowest set bit among terms along an axis, which is kept with size 1; ∞ where all are 0.

    ``lows`` are the low parts of the terms: where one is not 0, the result is 0.
    """
    mantissa, exponent = np.frexp(np.where(np.isfinite(terms), terms, 0.0))
    whole = np.ldexp(mantissa, 63).astype(np.int64)
    lowest = np.ldexp((whole & -whole).astype(np.float64), exponent - 63)
    grid = np.where(whole == 0, np.inf, lowest).min(axis=axis, keepdims=True)
    return grid if lows is None else np.where(np.any(lows != 0, axis=axis, keepdims=True), 0.0, grid)
