"""Numbers much finer than the format under test, as arrays: plain float64, or double-double for float64 itself.

A double-double is an unevaluated sum ``hi + lo`` of about 106 bits; where ``lo`` is None the arithmetic is that of
``hi`` alone. Every operation takes and gives :class:`Wide`, and broadcasts as NumPy does.

Source: Dekker 1971 (products), Knuth TAOCP 4.2.2 (sums); Joldes, Muller, Popescu, Tight and rigorous error bounds
for basic building blocks of double-word arithmetic, 2017.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import F64


class Wide(NamedTuple):
    """An array of numbers ``hi + lo``, with every axis of the formula at its place, 1 long where it is absent."""

    hi: F64
    lo: F64 | None = None


def _tidy(hi: F64, lo: F64) -> Wide:
    """Normalise hi + lo; an infinity or nan has no low part."""
    high = hi + lo
    low = lo - (high - hi)
    return Wide(np.where(np.isfinite(high), high, hi), np.where(np.isfinite(low), low, 0.0))


def two_sum(x: F64, y: F64) -> tuple[F64, F64]:
    """x + y as rounded sum and its exact error."""
    s = x + y
    back = s - x
    return s, (x - (s - back)) + (y - back)


@functools.cache
def _splitter(dtype: np.dtype[np.floating[Any]]) -> Any:
    """2 to the power of half the bits of a format, and 1: 2²⁷ + 1 for float64."""
    return dtype.type(2.0 ** ((np.finfo(dtype).nmant + 2) // 2) + 1)


def _split(x: F64) -> tuple[F64, F64]:
    """x as a sum of two numbers of half its bits, 26 of float64, whose products are exact (Veltkamp, Dekker 1971)."""
    scaled = _splitter(x.dtype) * x
    high = scaled - (scaled - x)
    return high, x - high


def two_prod(x: F64, y: F64) -> tuple[F64, F64]:
    """x · y as rounded product and its exact error (barring overflow of the splitting and underflow)."""
    p = x * y
    xh, xl = _split(x)
    yh, yl = _split(y)
    return p, ((xh * yh - p) + xh * yl + xl * yh) + xl * yl


def add(x: Wide, y: Wide) -> Wide:
    """x + y."""
    if x.lo is None or y.lo is None:
        return Wide(x.hi + y.hi)
    s, error = two_sum(x.hi, y.hi)
    return _tidy(s, error + (x.lo + y.lo))


def neg(x: Wide) -> Wide:
    """-x."""
    return Wide(-x.hi, None if x.lo is None else -x.lo)


def sub(x: Wide, y: Wide) -> Wide:
    """x - y."""
    return add(x, neg(y))


def mul(x: Wide, y: Wide) -> Wide:
    """x · y."""
    if x.lo is None or y.lo is None:
        return Wide(x.hi * y.hi)
    p, error = two_prod(x.hi, y.hi)
    return _tidy(p, error + (x.hi * y.lo + x.lo * y.hi))


def div(x: Wide, y: Wide) -> Wide:
    """x / y: the quotient of the high parts, corrected by what remains."""
    q = x.hi / y.hi
    if x.lo is None or y.lo is None:
        return Wide(q)
    rest = sub(x, mul(Wide(q, np.zeros_like(q)), y))
    return _tidy(q, np.where(np.isfinite(q), rest.hi / y.hi, 0.0))


def total(x: Wide, axis: int) -> Wide:
    """The sum along an axis, which is kept with size 1, added pairwise."""
    if x.lo is None:
        return Wide(x.hi.sum(axis=axis, keepdims=True))
    hi, lo = np.moveaxis(x.hi, axis, 0), np.moveaxis(x.lo, axis, 0)
    if not len(hi):
        hi = lo = np.zeros((1, *hi.shape[1:]))
    while len(hi) > 1:
        half = len(hi) // 2
        paired = add(Wide(hi[:half], lo[:half]), Wide(hi[half : 2 * half], lo[half : 2 * half]))
        assert paired.lo is not None
        odd = slice(2 * half, None)
        hi, lo = np.concatenate([paired.hi, hi[odd]]), np.concatenate([paired.lo, lo[odd]])
    return Wide(np.moveaxis(hi, 0, axis), np.moveaxis(lo, 0, axis))


def sqrt(x: Wide) -> Wide:
    """√x: the root of the high part, corrected by one Newton step."""
    root = np.sqrt(x.hi)
    if x.lo is None:
        return Wide(root)
    square, error = two_prod(root, root)
    rest = ((x.hi - square) - error) + x.lo
    safe = np.isfinite(root) & (root > 0)
    return _tidy(root, np.where(safe, rest / np.where(safe, 2 * root, 1.0), 0.0))
