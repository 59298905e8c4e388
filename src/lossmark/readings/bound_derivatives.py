"""Bounds of the operations that occur only in derivatives, but for ``fork``, which is a sum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64
from .arithmetic import Arithmetic, product_error, quotient_error
from .double_double import Wide
from .overflow import Bounded

_ZERO = Bounded(Wide(np.zeros((1, 1))), np.zeros((1, 1)))


def undecided(x: Bounded, y: Bounded = _ZERO) -> NDArray[np.bool_]:
    """Where a computed ``x - y`` may be on either side of 0, or on it: |x - y| ≤ e_x + e_y."""
    return np.abs(x.v.hi - y.v.hi) <= x.e + y.e


def in_common(masks: Sequence[NDArray[np.bool_]], batch: int) -> NDArray[np.bool_]:
    """The places ``[B, M]`` that any of several masks ``[B, ·]`` marks; those of a narrower one are the first."""
    found = np.zeros((batch, max([1, *(mask.shape[1] for mask in masks)])), bool)
    for mask in masks:
        found[:, : mask.shape[1]] |= mask
    return found


def unit(arithmetic: Arithmetic, v: Wide, x: Bounded, length: Bounded) -> F64:
    """The error of x/‖x‖: that of the quotient and three roundings (square, root, quotient).

    Where the computed norm may be 0, any component conforms that has the sign of the exact one, if the sign of xᵢ is
    certain, and is at most 5/4: a square that is rounded to a subnormal number keeps two thirds of itself, or nothing.
    """
    e = quotient_error(v, x, length)
    lost = ~np.isfinite(e)
    size = np.abs(v.hi)
    ball = np.where(x.e < x.size, np.maximum(size, 1.25 - size), np.where(x.size + x.e > 0, 1.25 + size, 0.0))
    e = np.where(lost, ball, arithmetic.round_inexact(v, np.where(lost, 0.0, e), 3))
    return np.where((length.v.hi == 0) & (length.e == 0), 0.0, e)


def radial(arithmetic: Arithmetic, v: Wide, g: Bounded, x: Bounded, length: Bounded) -> F64:
    """The error of g·x computed as (g·‖x‖)·(x/‖x‖): that of the product and four roundings, none where g·x is 0.

    Three roundings would do, but XLA divides by a broadcast scalar through its reciprocal. By the textbook g·‖x‖, or
    x/‖x‖, or (g·‖x‖)·x that is divided last, may underflow, and a norm of which nothing is left makes the gradient 0.
    """
    e = product_error(g, x)
    rounded = arithmetic.round_inexact(v, e, 4)
    if arithmetic.textbook:
        low = length.size - length.e
        some = np.where(low > 0, low, 1.0)
        first = arithmetic.eta(Wide(g.v.hi * some), g.e * some) * x.size / some
        second = arithmetic.eta(Wide(v.hi * some), e * some) / some
        third = arithmetic.eta(Wide(x.v.hi / some), x.e / some) * g.size * some
        lost = sum(np.minimum(part, np.abs(v.hi)) for part in (first, second, third))
        rounded = rounded + np.where(low > 0, lost, np.abs(v.hi))
    return np.where((v.hi == 0) & (e == 0), 0.0, rounded)


def either(arithmetic: Arithmetic, v: Wide, *xs: Bounded) -> F64:
    """Equal numbers computed in different ways: the largest eᵢ + |xᵢ - v| (at a kink they may differ in their side)."""
    return np.asarray(np.maximum.reduce(np.broadcast_arrays(*(x.e + np.abs(x.v.hi - v.hi) for x in xs))))
