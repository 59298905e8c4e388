"""The bound reading: how far a right implementation may be from the exact value, operation by operation.

Every rule takes the exact operands ``v`` with the error ``e`` that a computed operand may have and returns the error
of the computed result, for any order of summation and any IEEE arithmetic of the format, with or without gradual
underflow (section 4 of the design; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., chapters 2-4).
An operation that is exact in the format adds nothing, so that a bound of 0 means: bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType
from .overflow import Bounded
from .wide import RULES as WIDE
from .wide import Wide, sigmoid

_NOTHING = np.zeros((1, 1))

ULPS: Mapping[str, float] = {
    "exp": 4, "expm1": 4, "log": 4, "log1p": 4, "softplus": 4, "sigmoid": 4,
}  # fmt: skip
"""Units in the last place granted to a transcendental function; ``sigmoid`` gets |x| more, for exp(x - softplus(x))."""

WIDENING = 1 + 2.0**-25
"""Covers the error of the wide reading (see its docstring) and of computing the bound itself in float64."""


@dataclass(frozen=True)
class Bound:
    """The rules for one format."""

    dtype: DType

    # -- one rounding ------------------------------------------------------------------------------------------------

    def eta(self, v: Wide, e: F64) -> F64:
        """The underflow unit: 0 for normal numbers, else all of it, because flushing to zero conforms.

        Where underflow must be gradual, half of the smallest subnormal number.
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
        held = self.dtype.holds(v.hi)
        return held if v.lo is None else held & (v.lo == 0)

    def round(self, v: Wide, e: F64, units: float = 1.0) -> F64:
        """The error after one rounding (``units`` of them), none where the operation is exact."""
        rounding = units * self.dtype.u * (np.abs(v.hi) + e)
        untouched = e == 0
        if untouched.any():
            rounding = np.where(untouched & self.holds(v), 0.0, rounding)
        return e + rounding + self.eta(v, e)

    def _inexact(self, v: Wide, e: F64, units: float = 1.0) -> F64:
        """As :meth:`round`, for a derivative that is never exact unless it is 0."""
        return e + units * self.dtype.u * (np.abs(v.hi) + e) + self.eta(v, e)

    # -- arithmetic --------------------------------------------------------------------------------------------------

    def add(self, v: Wide, x: Bounded, y: Bounded) -> F64:
        e = x.e + y.e
        trivial = ((x.v.hi == 0) & (x.e == 0)) | ((y.v.hi == 0) & (y.e == 0))
        return np.where(trivial, e + self.eta(v, e), self.round(v, e))

    sub = add

    def neg(self, v: Wide, x: Bounded) -> F64:
        return x.e

    def mul(self, v: Wide, x: Bounded, y: Bounded) -> F64:
        e = x.size * y.e + y.size * x.e + x.e * y.e
        rounded = self.round(v, e)
        for operand in (x, y):  # scaling by 0 or a power of two rounds nothing
            if operand.v.hi.shape[1] == 1:
                mantissa, _ = np.frexp(operand.size)
                scaling = (operand.e == 0) & ((mantissa == 0.5) | (mantissa == 0))
                if scaling.any():
                    rounded = np.where(scaling, e + self.eta(v, e), rounded)
        return rounded

    def div(self, v: Wide, x: Bounded, y: Bounded) -> F64:
        return self.round(v, self._quotient(v, x, y))

    @staticmethod
    def _quotient(v: Wide, x: Bounded, y: Bounded) -> F64:
        low = y.size - y.e
        return np.where(low > 0, (x.e + np.abs(v.hi) * y.e) / np.where(low > 0, low, 1.0), np.inf)

    def square(self, v: Wide, x: Bounded) -> F64:
        return self.round(v, 2 * x.size * x.e + x.e * x.e)

    def max(self, v: Wide, x: Bounded, y: Bounded) -> F64:
        difference = x.v.hi - y.v.hi
        clear = np.abs(difference) > x.e + y.e
        return np.where(clear, np.where(difference > 0, x.e, y.e), np.maximum(x.e, y.e))

    def min(self, v: Wide, x: Bounded, y: Bounded) -> F64:
        return self.max(v, Bounded(Wide(-x.v.hi), x.e), Bounded(Wide(-y.v.hi), y.e))

    def relu(self, v: Wide, x: Bounded) -> F64:
        return np.where(x.v.hi < -x.e, 0.0, x.e)

    def abs(self, v: Wide, x: Bounded) -> F64:
        return x.e

    def where(self, v: Wide, label: Bounded, value: Bounded, x: Bounded, y: Bounded) -> F64:
        return np.where(label.v.hi == value.v.hi, x.e, y.e)

    # -- functions: the exact change over the interval, in closed form, plus k ulp ------------------------------------

    def _function(self, name: str, v: Wide, change: F64, more: F64 | float = 0.0) -> F64:
        e = change + (ULPS[name] + more) * self.dtype.ulp(v.hi)
        return e + self.eta(v, e)

    def exp(self, v: Wide, x: Bounded) -> F64:
        return self._function("exp", v, np.abs(v.hi) * np.expm1(x.e))

    def expm1(self, v: Wide, x: Bounded) -> F64:
        return self._function("expm1", v, np.abs(v.hi + 1) * np.expm1(x.e))

    def log(self, v: Wide, x: Bounded) -> F64:
        return self._function("log", v, _log_change(x.v.hi, x.e))

    def log1p(self, v: Wide, x: Bounded) -> F64:
        return self._function("log1p", v, _log_change(x.v.hi + 1, x.e))

    def softplus(self, v: Wide, x: Bounded) -> F64:
        change = np.log1p(sigmoid(x.v.hi) * np.expm1(np.minimum(x.e, 700.0)))
        return self._function("softplus", v, np.minimum(change, x.e))

    def sigmoid(self, v: Wide, x: Bounded) -> F64:
        change = sigmoid(x.v.hi) * sigmoid(-x.v.hi) * np.expm1(np.minimum(x.e, 700.0))
        # exp(x - softplus(x)) carries the rounding of its exponent, which for positive x ends where softplus(x) is x
        exponent = np.where(x.v.hi < 0, np.minimum(x.size, 2.0 * -self.dtype.emin), np.minimum(x.size, self.dtype.p))
        return self._function("sigmoid", v, np.minimum(change, 1.0), exponent)

    def sqrt(self, v: Wide, x: Bounded) -> F64:
        return self.round(v, _sqrt_change(v.hi, x.v.hi, x.e))

    # -- sums over D: any order, accumulated in at least float32 -------------------------------------------------------

    def total(self, v: Wide, terms: F64, errors: F64, axis: int = 1, lows: F64 | None = None) -> F64:
        """The error of a computed sum of ``terms``, each already off by ``errors``."""
        size = np.abs(terms)
        count = np.count_nonzero((size != 0) | (errors != 0), axis=axis, keepdims=True)
        mass = np.sum(size + errors, axis=axis, keepdims=True)
        e = np.sum(errors, axis=axis, keepdims=True)
        exact = (e == 0) & (count > 0)
        if exact.any():
            exact &= _any_order(terms, lows, mass, self.dtype.accumulator_p, axis)
        e = e + np.where(exact, 0.0, np.maximum(count - 1, 0) * self.dtype.a * mass)
        if self.dtype.accumulator_p == self.dtype.p:
            return np.asarray(e + np.where(count > 1, self.eta(v, e), 0.0))
        return np.where(count > 1, self.round(v, e), e)

    def sum(self, v: Wide, x: Bounded) -> F64:
        return self.total(v, x.v.hi, x.e, lows=x.v.lo)

    def dot(self, v: Wide, x: Bounded, y: Bounded) -> F64:
        product = WIDE["mul"](x.v, y.v)
        errors = self.round(product, x.size * y.e + y.size * x.e + x.e * y.e)
        return self.total(v, product.hi, errors, lows=product.lo)

    def sqnorm(self, v: Wide, x: Bounded) -> F64:
        return self.dot(v, x, x)

    def norm(self, v: Wide, x: Bounded) -> F64:
        """Through the relative error of ‖x‖², so that squares beyond the range of float64 do no harm."""
        length = np.where((v.hi > 0) & np.isfinite(v.hi), v.hi, 1.0)
        ratio = np.where(np.isfinite(x.v.hi), x.v.hi / length, 0.0)
        with np.errstate(over="ignore"):
            square = Wide(x.v.hi * x.v.hi, None if x.v.lo is None else WIDE["mul"](x.v, x.v).lo)
            exact = np.all((x.e == 0) & self.holds(square), axis=1, keepdims=True)
        if exact.any():
            low = None if x.v.lo is None else square.lo
            exact &= _any_order(square.hi, low, np.sum(square.hi, axis=1, keepdims=True), self.dtype.accumulator_p, 1)
        underflow = self.eta(square, 2 * x.size * x.e + x.e * x.e) / (length * length)
        per_term = 2 * np.abs(ratio) * (x.e / length) + (x.e / length) ** 2
        rounded = np.where(exact, 0.0, per_term + self.dtype.u * (ratio * ratio + per_term)) + underflow
        count = np.count_nonzero(ratio, axis=1, keepdims=True)
        relative = np.sum(rounded, axis=1, keepdims=True)
        spread = np.maximum(count - 1, 0) * self.dtype.a * (1 + relative)
        if self.dtype.accumulator_p != self.dtype.p:
            spread = spread + np.where(count > 1, self.dtype.u * (1 + relative), 0.0)
        relative = relative + np.where(exact, 0.0, spread)
        e = length * relative / (1 + np.sqrt(np.maximum(1 - relative, 0.0)))
        return np.where(v.hi == 0, np.sqrt(np.sum(x.e * x.e, axis=1, keepdims=True)), self.round(v, e))

    # -- derivatives -------------------------------------------------------------------------------------------------

    def step(self, v: Wide, x: Bounded, y: Bounded) -> F64:
        return np.zeros_like(v.hi)

    def sign(self, v: Wide, x: Bounded) -> F64:
        return np.zeros_like(v.hi)

    def kinks(self, x: Bounded, y: Bounded) -> NDArray[np.bool_]:
        """Where a computed ``x - y`` may be on either side of 0, or on it."""
        return np.abs(x.v.hi - y.v.hi) <= x.e + y.e

    def unit(self, v: Wide, x: Bounded, length: Bounded) -> F64:
        e = self._quotient(v, x, length)
        lost = ~np.isfinite(e)  # the norm may be 0: any vector of the unit ball, the 0 of the convention included
        e = np.where(lost, 1 + np.abs(v.hi), self._inexact(v, np.where(lost, 0.0, e), 3))
        return np.where((length.v.hi == 0) & (length.e == 0), 0.0, e)

    def radial(self, v: Wide, g: Bounded, x: Bounded) -> F64:
        e = g.size * x.e + x.size * g.e + g.e * x.e
        # 4 and not 3 roundings, because XLA divides by a broadcast scalar through its reciprocal
        return np.where((v.hi == 0) & (e == 0), 0.0, self._inexact(v, e, 4))

    def spread(self, v: Wide, x: Bounded) -> F64:
        return x.e

    def fork(self, v: Wide, *xs: Bounded) -> F64:
        """Contributions of several paths, rounded before they cancel, added in any order in the storage format."""
        mass = np.asarray(sum(x.size + x.e for x in xs))
        e = sum(x.e for x in xs) + np.zeros_like(v.hi)
        count = sum(((x.v.hi != 0) | (x.e != 0)).astype(np.float64) for x in xs)
        rounding = np.maximum(count - 1, 0) * self.dtype.u * mass
        exact = (e == 0) & (count > 1)
        if exact.any():
            terms = np.stack(np.broadcast_arrays(*(x.v.hi for x in xs)))
            some = [x.v.lo for x in xs if x.v.lo is not None]
            lows = np.stack(np.broadcast_arrays(*some)) if some else None
            rounding = np.where(exact & _any_order(terms, lows, mass, self.dtype.p, 0)[0], 0.0, rounding)
        return np.asarray(e + rounding + np.where(count > 1, self.eta(v, e), 0.0))

    def either(self, v: Wide, *xs: Bounded) -> F64:
        """Equal numbers computed in different ways: the largest error (at a kink they may lie on different sides)."""
        return np.asarray(np.maximum.reduce(np.broadcast_arrays(*(x.e + np.abs(x.v.hi - v.hi) for x in xs))))


def _any_order(terms: F64, lows: F64 | None, mass: F64, p: int, axis: int) -> NDArray[np.bool_]:
    """Where every partial sum of ``terms``, in any order, has at most ``p`` significant bits.

    All terms are multiples of the lowest set bit among them, so a partial sum needs no bit below it, and none above
    the sum of magnitudes.
    """
    mantissa, exponent = np.frexp(np.where(np.isfinite(terms), terms, 0.0))
    whole = np.ldexp(mantissa, 63).astype(np.int64)
    lowest = np.ldexp((whole & -whole).astype(np.float64), exponent - 63)
    lowest = np.where(whole == 0, np.inf, lowest)
    grid = lowest.min(axis=axis, keepdims=True)
    fits = mass <= np.ldexp(np.where(np.isfinite(grid), grid, 1.0), p)
    if lows is not None:
        fits &= np.all(lows == 0, axis=axis, keepdims=True)
    return np.asarray(fits)


def _log_change(x: F64, e: F64) -> F64:
    low = x - e
    return np.where(low > 0, np.log1p(e / np.where(low > 0, low, 1.0)), np.inf)


def _sqrt_change(root: F64, x: F64, e: F64) -> F64:
    denominator = root + np.sqrt(np.maximum(x - e, 0.0))
    return np.where(e == 0, 0.0, e / np.where(denominator > 0, denominator, 1.0))
