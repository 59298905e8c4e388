"""Real numbers as balls (python-flint's Arb), with the infinities and nan that balls do not have.

Arb is not IEEE, so a scalar here is either an ``arb`` (a finite real, enclosed) or a float that is nan or ±inf. A
comparison that a ball cannot decide raises :class:`Undecided`; callers raise the working precision until it can be
decided (Arb's own comparisons would answer False).

Source of the arithmetic: Johansson, Arb: Efficient Arbitrary-Precision Midpoint-Radius Interval Arithmetic, 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from flint import arb

Real = arb | float
"""A ball, or a float that is nan or ±inf."""


class Undecided(ArithmeticError):  # noqa: N818 (an outcome, not an error)
    """The balls are too wide at this precision."""


def lift(x: float) -> Real:
    """A float64 as a scalar of this reading, exactly."""
    return arb(x) if math.isfinite(x) else x


def sign(x: Real) -> int:
    """-1, 0 or 1; raises :class:`Undecided`. Not for nan."""
    if isinstance(x, float):
        return 1 if x > 0 else -1
    if x > 0:
        return 1
    if x < 0:
        return -1
    if x.is_zero():
        return 0
    raise Undecided


def shadow(x: Real) -> float:
    """A float that behaves like ``x`` beside an infinity or nan."""
    return x if isinstance(x, float) else float(sign(x))


def any_nan(*xs: Real) -> bool:
    """Whether one of them is nan."""
    return any(isinstance(x, float) and math.isnan(x) for x in xs)


def _function(
    finite: Callable[[arb], arb],
    at_minus_inf: float,
    at_inf: float,
    lowest: int | None = None,
    pole: float | None = None,
) -> Callable[[Real], Real]:
    """A continuous function with its limits at ±inf; nan below ``lowest``, where it is the ``pole`` if it has one."""

    def rule(x: Real) -> Real:
        if isinstance(x, float):
            return math.nan if math.isnan(x) else lift(at_inf if x > 0 else at_minus_inf)
        if lowest is not None:
            order = sign(x - lowest)
            if order < 0:
                return math.nan
            if order == 0 and pole is not None:
                return pole
        return finite(x)

    return rule


def _softplus(x: arb) -> arb:
    """log(1 + exp(x)), through exp(-|x|) where the sign of x is known."""
    if x.contains(0):
        return x.exp().log1p()
    return (-abs(x)).exp().log1p() + (x if x > 0 else arb(0))


def _sigmoid(x: arb) -> arb:
    """1 / (1 + exp(-x)), through exp(-|x|) where the sign of x is known."""
    if x.contains(0):
        return 1 / (1 + (-x).exp())
    small = (-abs(x)).exp()
    return (arb(1) if x > 0 else small) / (1 + small)


def _logcosh(x: arb) -> arb:
    """log(cosh(x)): near 0 through cosh(x) = 1 + 2·sinh²(x/2), else through exp(-2|x|)."""
    size = abs(x)
    if size < 1:
        return (2 * (x / 2).sinh() ** 2).log1p()
    return size + (-2 * size).exp().log1p() - arb(2).log()


BALL_FUNCTIONS: Mapping[str, Callable[[Real], Real]] = {
    "exp": _function(arb.exp, 0.0, math.inf),
    "expm1": _function(arb.expm1, -1.0, math.inf),
    "log": _function(arb.log, math.nan, math.inf, 0, -math.inf),
    "log1p": _function(arb.log1p, math.nan, math.inf, -1, -math.inf),
    "log1mexp": _function(lambda x: (-(-x).expm1()).log(), math.nan, 0.0, 0, -math.inf),
    "sqrt": _function(arb.sqrt, math.nan, math.inf, 0),
    "tanh": _function(arb.tanh, -1.0, 1.0),
    "logcosh": _function(_logcosh, math.inf, math.inf),
    "softplus": _function(_softplus, 0.0, math.inf),
    "sigmoid": _function(_sigmoid, 0.0, 1.0),
}
"""The functions of one operand that a formula may call."""
