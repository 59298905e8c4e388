"""Bounds of sums: along an axis, of products, of squares, and of contributions that meet at a fork.

Any order of summation conforms. n terms summed in any order, in an arithmetic of unit a, are off by at most
(n - 1)·a·Σ|xᵢ| (Higham, section 4.2, to first order in a; without higher orders by Lange & Rump, Error estimates for
the summation of real numbers with application to floating-point summation, BIT 57, 2017). Sums along an
axis accumulate in at least float32, a fork in the format itself.

Where an accumulator coarser than the format is declared, each term is rounded to it first, and products of terms are
taken in it.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType, accumulator_of
from .arithmetic import Arithmetic, exact_in_any_order, grid_of, product_error
from .contraction import part_of, slices
from .double_double import Wide, mul
from .double_double import total as wide_sum
from .overflow import Bounded


@dataclass(frozen=True)
class Summands:
    """What the error of a computed sum along an axis follows from; the axis is kept with size 1.

    ``count`` is how many terms may not be 0, ``mass`` the sum of their magnitudes and errors, ``e`` that of their
    errors, and ``grid`` what all are multiples of where that is known, else 0. ``above`` and ``below`` are the largest
    and the smallest that a term may be.
    """

    count: F64
    mass: F64
    e: F64
    grid: F64
    above: F64
    below: F64

    @classmethod
    def of(cls, terms: F64, errors: F64, axis: int, lows: F64 | None) -> Summands:
        """Those of the numbers ``terms`` with the low parts ``lows``, each off by ``errors``."""
        size = np.abs(terms)
        count = np.count_nonzero((size != 0) | (errors != 0), axis=axis, keepdims=True)
        mass = np.sum(size + errors, axis=axis, keepdims=True)
        e = np.sum(errors, axis=axis, keepdims=True)
        grid = grid_of(terms, lows, axis) if ((e == 0) & (count > 0)).any() else np.zeros_like(mass)
        above = np.max(terms + errors, axis=axis, keepdims=True, initial=0.0)
        below = np.min(terms - errors, axis=axis, keepdims=True, initial=0.0)
        return cls(count.astype(np.float64), mass, e, grid, above, below)

    def __add__(self, other: Summands) -> Summands:
        """Those of all terms of both."""
        grid = np.minimum(self.grid, other.grid)
        above, below = np.maximum(self.above, other.above), np.minimum(self.below, other.below)
        return Summands(self.count + other.count, self.mass + other.mass, self.e + other.e, grid, above, below)

    def map(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Summands:
        """The same in another shape, or some rows of it: ``change`` is applied to every array."""
        return Summands(*(change(getattr(self, item.name)) for item in fields(self)))

    @classmethod
    def concatenated(cls, parts: Sequence[Summands]) -> Summands:
        """Those of the rows of all parts, one after the other."""
        return cls(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)))

    def scaled(self, factor: float, relative: float) -> Summands:
        """Those of each term times ``factor``, a product whose relative error is ``relative``."""
        ends = self.above * factor, self.below * factor
        size, grid = self.mass * abs(factor), self.grid * abs(factor) if relative == 0 else np.zeros_like(self.grid)
        e = self.e * abs(factor) + size * relative
        return Summands(self.count, size * (1 + relative), e, grid, np.maximum(*ends), np.minimum(*ends))

    def either(self, other: Summands) -> Summands:
        """What holds for these and for the others, which have the same sum."""
        parts = zip(vars(self).values(), vars(other).values(), strict=True)
        count, mass, e, grid, above, below = ((np.maximum(*each), np.minimum(*each)) for each in parts)
        return Summands(count[0], mass[0], e[0], grid[1], above[0], below[1])

    def together(self, axis: int) -> Summands:
        """Those of all terms of the sums along ``axis``, as one sum."""

        def each(of: Callable[..., F64], x: F64) -> F64:
            return of(x, axis=axis, keepdims=True)

        grid, above, below = each(np.min, self.grid), each(np.max, self.above), each(np.min, self.below)
        return Summands(each(np.sum, self.count), each(np.sum, self.mass), each(np.sum, self.e), grid, above, below)

    def error_of_sum(self, arithmetic: Arithmetic, v: Wide) -> F64:
        """The error of their computed sum ``v``.

        Σeᵢ + (n - 1)·a·Σ(|xᵢ| + eᵢ), where n counts the terms that may not be 0, then one rounding from the accumulator
        to the format where the two differ. Nothing is added where every partial sum is exact in the accumulator. What
        cancels to a subnormal number on the way may be flushed to zero.
        """
        dtype, e = arithmetic.dtype, self.e
        exact = (e == 0) & (self.count > 0)
        if exact.any():
            exact &= exact_in_any_order(self.grid, self.mass, dtype.accumulator_p)
        e = e + np.where(exact, 0.0, dtype.additions(self.count) * dtype.a * self.mass) + self._flushed(dtype)
        if dtype.accumulator_p == dtype.p:
            return np.asarray(e + np.where(self.count > 1, arithmetic.eta(v, e), 0.0))
        return np.where(self.count > 1, arithmetic.round(v, e), e)

    def _flushed(self, dtype: DType) -> F64:
        """What partial sums before the last may lose in an accumulator that flushes: of terms of both signs alone.

        Terms of one sign do not cancel, and what is subnormal among them has been granted its loss. Multiples of a
        normal number add up to no subnormal one.
        """
        tiny = 0.0 if dtype.gradual else accumulator_of(dtype).smallest_normal
        cancels = (self.above > 0) & (self.below < 0) & (self.grid < tiny)
        return np.where(cancels, np.maximum(self.count - 2, 0) * tiny, 0.0)


def total(arithmetic: Arithmetic, v: Wide, terms: F64, errors: F64, axis: int, lows: F64 | None = None) -> F64:
    """The error of a computed sum ``v`` of ``terms`` along ``axis``, each already off by ``errors``."""
    errors = arithmetic.entering(Wide(terms, lows), errors)
    return Summands.of(terms, errors, axis, lows).error_of_sum(arithmetic, v)


def sum_along(arithmetic: Arithmetic, v: Wide, x: Bounded, axis: int) -> F64:
    """The error of Σxᵢ."""
    return total(arithmetic, v, x.v.hi, x.e, axis, x.v.lo)


def mean(arithmetic: Arithmetic, v: Wide, x: Bounded, axis: int) -> F64:
    """The error of Σxᵢ/n: that of the sum, and two roundings, of 1/n and of a product, unless n is a power of two."""
    n = x.v.hi.shape[axis]
    e = sum_along(arithmetic, wide_sum(x.v, axis), x, axis) / n
    e = e + (0.0 if n & (n - 1) == 0 else 2 * arithmetic.dtype.u * (np.abs(v.hi) + e))
    return np.asarray(e + np.where(v.hi == 0, 0.0, arithmetic.eta(v, e)))


def count(arithmetic: Arithmetic, v: Wide, x: Bounded, axis: int) -> F64:
    """A number of things is exact in the accumulator."""
    return np.zeros_like(v.hi)


def dot(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded, axis: int) -> F64:
    """The error of Σxᵢyᵢ: each product is rounded to the format, then summed (Higham, section 3.1)."""
    parts = []
    x, y = (Bounded(z.v, arithmetic.entering(z.v, z.e)) for z in (x, y))
    for part in slices(x.v.hi, y.v.hi, axis):
        here, there = (Bounded(part_of(z.v, part), np.broadcast_to(z.e, z.v.hi.shape)[part]) for z in (x, y))
        product = mul(here.v, there.v)
        errors = arithmetic.summing.round(product, product_error(here, there))
        parts.append(Summands.of(product.hi, errors, axis, product.lo))
    return functools.reduce(operator.add, parts).error_of_sum(arithmetic, v)


def sqnorm(arithmetic: Arithmetic, v: Wide, x: Bounded, axis: int) -> F64:
    """The error of Σxᵢ²."""
    return dot(arithmetic, v, x, x, axis)


def norm(arithmetic: Arithmetic, v: Wide, x: Bounded, axis: int) -> F64:
    """The error of ‖x‖ = √Σxᵢ², from the relative error r of ‖x‖²: ‖x‖·r / (1 + √(1 - r)), then one rounding.

    Relative, so that squares beyond the range of float64 do no harm; √ as in :func:`.bound.sqrt`. Where ‖x‖ = 0, a
    computed one is at most √Σeᵢ². What the squares lose by underflow counts up to one rounding of the sum; beyond that
    the norm by the textbook alone may lose it.
    """
    dtype = arithmetic.dtype
    x = Bounded(x.v, arithmetic.entering(x.v, x.e))
    length = np.where((v.hi > 0) & np.isfinite(v.hi), v.hi, 1.0)
    ratio = np.where(np.isfinite(x.v.hi), x.v.hi / length, 0.0)
    square, exact = _squares(arithmetic, x, axis)
    underflow = arithmetic.eta(square, 2 * x.size * x.e + x.e * x.e) / (length * length)
    if not arithmetic.textbook:
        underflow = np.where(np.sum(underflow, axis=axis, keepdims=True) <= dtype.u, underflow, 0.0)
    per_term = 2 * np.abs(ratio) * (x.e / length) + (x.e / length) ** 2
    unit = arithmetic.summing.dtype.u
    rounded = np.where(exact, 0.0, per_term + unit * (ratio * ratio + per_term)) + underflow
    count = np.count_nonzero(ratio, axis=axis, keepdims=True)
    relative = np.sum(rounded, axis=axis, keepdims=True)
    summing = dtype.additions(count) * dtype.a * (1 + relative)
    if dtype.accumulator_p != dtype.p:
        summing = summing + np.where(count > 1, dtype.u * (1 + relative), 0.0)
    relative = relative + np.where(exact, 0.0, summing)
    e = length * relative / (1 + np.sqrt(np.maximum(1 - relative, 0.0)))
    return np.where(v.hi == 0, np.sqrt(np.sum(x.e * x.e, axis=axis, keepdims=True)), arithmetic.round(v, e))


def textbook_loses(arithmetic: Arithmetic, x: Bounded, length: Bounded) -> bool:
    """Whether the square of some component may underflow, or of twice a component, or its quotient by the norm."""
    tiny = arithmetic.dtype.smallest_normal
    quotient = np.where(np.isfinite(length.size), tiny * length.size, 0.0)
    return bool(((x.size > 0) & (x.size < np.maximum(2 * tiny**0.5, quotient))).any())


def _squares(arithmetic: Arithmetic, x: Bounded, axis: int) -> tuple[Wide, NDArray[np.bool_]]:
    """The squares, and where all along the axis and their sums in any order are exact."""
    with np.errstate(over="ignore"):
        square = Wide(x.v.hi * x.v.hi, None if x.v.lo is None else mul(x.v, x.v).lo)
        exact = np.all((x.e == 0) & arithmetic.holds(square), axis=axis, keepdims=True)
    if exact.any():
        mass = np.sum(square.hi, axis=axis, keepdims=True)
        exact &= exact_in_any_order(grid_of(square.hi, square.lo, axis), mass, arithmetic.dtype.accumulator_p)
    return square, exact


def fork(arithmetic: Arithmetic, v: Wide, *xs: Bounded) -> F64:
    """The error of a sum of contributions, each rounded before they cancel, in any order and in the storage format.

    Σeᵢ + (n - 1)·u·Σ(|xᵢ| + eᵢ) + η, where n counts the contributions that may not be 0.
    """
    dtype = arithmetic.dtype
    mass = np.asarray(sum(x.size + x.e for x in xs))
    e = sum(x.e for x in xs) + np.zeros_like(v.hi)
    count = sum(((x.v.hi != 0) | (x.e != 0)).astype(np.float64) for x in xs)
    rounding = np.maximum(count - 1, 0) * dtype.u * mass
    exact = (e == 0) & (count > 1)
    if exact.any():
        terms = np.stack(np.broadcast_arrays(*(x.v.hi for x in xs)))
        some = [x.v.lo for x in xs if x.v.lo is not None]
        lows = np.stack(np.broadcast_arrays(*some)) if some else None
        rounding = np.where(exact & exact_in_any_order(grid_of(terms, lows, 0)[0], mass, dtype.p), 0.0, rounding)
    return np.asarray(e + rounding + np.where(count > 1, arithmetic.eta(v, e), 0.0))
