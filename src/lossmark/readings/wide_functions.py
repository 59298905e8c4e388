"""Transcendental functions of wide numbers: by NumPy in float64, by Arb in double-double."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from flint import arb

from ..dtypes import F64
from . import exact_scalars
from .balls import BALL_FUNCTIONS, Real, lift
from .double_double import Wide
from .precision import working_precision
from .rounding import two_doubles

WORKING_PRECISION = 160
"""Bits that Arb works with: 54 more than a double-double holds."""


def stable_softplus(x: F64) -> F64:
    """log(1 + exp(x)) in float64, without overflow."""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def stable_sigmoid(x: F64) -> F64:
    """1 / (1 + exp(-x)) in float64, without overflow."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1 + small))


def stable_logcosh(x: F64) -> F64:
    """log(cosh(x)) in float64, without overflow or cancellation."""
    size = np.abs(x)
    near = 2 * np.sinh(np.minimum(size, 1) / 2) ** 2
    return np.asarray(np.where(size < 1, np.log1p(near), size + np.log1p(np.exp(-2 * size)) - np.log(2)))


def stable_log1mexp(x: F64) -> F64:
    """log(1 - exp(-x)) in float64, without cancellation; NaN where x is negative (Mächler 2012)."""
    near = np.log(-np.expm1(-x))
    return np.asarray(np.where(x < np.log(2), near, np.log1p(-np.exp(-np.abs(x)))))


def _power(x: F64, y: F64) -> F64:
    return np.asarray(np.where(x < 0, np.nan, np.power(x, y)))


def _power_slope(x: F64, y: F64) -> F64:
    return np.asarray(np.where((y == 0) & (x >= 0), 0.0, y * _power(x, y - 1)))


def _numbers(x: Wide) -> list[Real]:
    """The numbers of an array, each as a ball; NaN and infinities as floats.

    What float64 does not hold of a long double belongs to the low part.
    """
    assert x.lo is not None
    with np.errstate(over="ignore", invalid="ignore"):
        near = x.hi.astype(np.float64)
        rest = np.where(np.isfinite(near), (x.hi - near) + x.lo, 0.0).astype(np.float64)
    pairs = zip(near.ravel().tolist(), rest.ravel().tolist(), strict=True)
    return [high if isinstance(high := lift(hi), float) else high + arb(lo) for hi, lo in pairs]


def _through_arb(rule: Callable[..., Real], *xs: Wide) -> Wide:
    """A function of double-doubles: one Arb call per number (they occur once per example)."""
    shape = np.broadcast_shapes(*(x.hi.shape for x in xs))
    whole = [Wide(*(np.broadcast_to(part, shape) for part in x if part is not None)) for x in xs]
    with working_precision(WORKING_PRECISION):
        pairs = [two_doubles(rule(*numbers)) for numbers in zip(*map(_numbers, whole), strict=True)]
    both = np.array(pairs, dtype=np.float64).reshape(*shape, 2)
    return Wide(both[..., 0], both[..., 1])


def _function(rule: Callable[..., Real], plain: Callable[..., F64]) -> Callable[..., Wide]:
    def function(*xs: Wide) -> Wide:
        return Wide(plain(*(x.hi for x in xs))) if any(x.lo is None for x in xs) else _through_arb(rule, *xs)

    return function


_PLAIN: Mapping[str, Callable[[F64], F64]] = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "log1mexp": stable_log1mexp, "tanh": np.tanh,
    "logcosh": stable_logcosh, "softplus": stable_softplus, "sigmoid": stable_sigmoid,
}  # fmt: skip
WIDE_FUNCTIONS: Mapping[str, Callable[..., Wide]] = {
    **{name: _function(BALL_FUNCTIONS[name], plain) for name, plain in _PLAIN.items()},
    "power": _function(exact_scalars.power, _power),
    "power_slope": _function(exact_scalars.power_slope, _power_slope),
}
"""The transcendental operations of a formula and its gradient."""
