"""The exact reading of operations on single numbers: what a ball, and a float that is nan or ±inf, do together."""

from __future__ import annotations

import math
from collections.abc import Callable

from flint import arb

from .balls import BALL_FUNCTIONS, Real, any_nan, lift, shadow
from .balls import sign as sign_of
from .convention import IEEE, Convention


def add(x: Real, y: Real) -> Real:
    """x + y; the floats alone decide where there are some, ∞ - ∞ is nan."""
    if isinstance(x, float) or isinstance(y, float):
        return (x if isinstance(x, float) else 0.0) + (y if isinstance(y, float) else 0.0)
    return x + y


def neg(x: Real) -> Real:
    """-x."""
    return -x


def sub(x: Real, y: Real) -> Real:
    """x - y."""
    return add(x, neg(y))


def mul(x: Real, y: Real, convention: Convention) -> Real:
    """x·y, where 0·∞ is what the convention says."""
    if isinstance(x, float) or isinstance(y, float):
        if any_nan(x, y):
            return math.nan
        p, q = shadow(x), shadow(y)
        if p == 0 or q == 0:
            return arb(0) if convention.limit else math.nan
        return p * q
    return x * y


def square(x: Real) -> Real:
    """x²."""
    return x * x


def div(x: Real, y: Real) -> Real:
    """x/y; x/0 is an infinity of the sign of x, 0/0 and ∞/∞ are nan, x/∞ is 0."""
    if isinstance(y, float):
        return math.nan if isinstance(x, float) or math.isnan(y) else arb(0)
    if sign_of(y) == 0:
        return math.nan if any_nan(x) or sign_of(x) == 0 else sign_of(x) * math.inf
    return shadow(x) * sign_of(y) if isinstance(x, float) else x / y


def xlogy(x: Real, y: Real) -> Real:
    """x·log(y), and 0 where x is 0 and y is no nan; nan where y is negative."""
    return _unless_zero(x, y, lambda: mul(x, BALL_FUNCTIONS["log"](y), IEEE))


def xdivy(x: Real, y: Real) -> Real:
    """x/y, and 0 where x is 0 and y is no nan."""
    return _unless_zero(x, y, lambda: div(x, y))


def _unless_zero(x: Real, y: Real, otherwise: Callable[[], Real]) -> Real:
    if isinstance(x, float) or any_nan(y) or sign_of(x):
        return otherwise()
    return arb(0)


def maximum(x: Real, y: Real) -> Real:
    """max(x, y), nan where either is."""
    if any_nan(x, y):
        return math.nan
    if isinstance(x, float):
        return x if x > 0 else y
    if isinstance(y, float):
        return y if y > 0 else x
    return x.max(y)  # a ball around it, where which of two is larger is not decided: they may be the same number


def minimum(x: Real, y: Real) -> Real:
    """min(x, y) = -max(-x, -y)."""
    return neg(maximum(neg(x), neg(y)))


def relu(x: Real) -> Real:
    """max(x, 0)."""
    return maximum(x, arb(0))


def absolute(x: Real) -> Real:
    """|x| = max(x, -x)."""
    return maximum(x, neg(x))


def equal(x: Real, y: Real) -> Real:
    """1 where x is y, else 0; a nan label counts as a nan input and reaches the result."""
    if any_nan(x, y):
        return math.nan
    if isinstance(x, float) or isinstance(y, float):
        return arb(int(isinstance(x, float) and isinstance(y, float) and x == y))
    return arb(int(sign_of(x - y) == 0))


def negated(condition: Real) -> Real:
    """1 where a condition is false."""
    return sub(arb(1), condition)


def both(x: Real, y: Real) -> Real:
    """1 where two conditions are true."""
    return mul(x, y, IEEE)


def where(condition: Real, x: Real, y: Real) -> Real:
    """x where the condition is true, else y."""
    if any_nan(condition):
        return math.nan
    return x if sign_of(condition) else y


def only(condition: Real, x: Real) -> Real:
    """x where the condition is true, else -∞."""
    return where(condition, x, -math.inf)


def power(x: Real, y: Real) -> Real:
    """x to the power of y; 1 where y is 0, nan where x is negative."""
    if any_nan(x, y):
        return math.nan
    base, exponent = sign_of(x), sign_of(y)
    if base < 0:
        return math.nan
    if exponent == 0:
        return arb(1)
    if isinstance(x, float) or isinstance(y, float) or base == 0:
        return lift(float(shadow(x) ** exponent)) if base else arb(0) if exponent > 0 else math.inf
    return x**y


def power_slope(x: Real, y: Real) -> Real:
    """y·x to the power of y - 1, and 0 where y is 0."""
    if not any_nan(x, y) and sign_of(y) == 0:
        return arb(0) if sign_of(x) >= 0 else math.nan
    return mul(y, power(x, sub(y, arb(1))), IEEE)
