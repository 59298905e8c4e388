"""The bound reading: how far a right implementation may be from the exact value, operation by operation.

A rule ``rule(arithmetic, v, *operands)`` takes the exact result ``v`` of an operation and its operands, exact numbers
``v`` with the error ``e`` that computed ones may have, and returns the error of the computed result. That is a running
error analysis with exact numbers in the place of computed ones (Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., section 3.3): first the inequality for what the errors of the operands become, given with each
rule, then one rounding (:meth:`.arithmetic.Arithmetic.round`; Higham, section 2.2). The error holds for any order of
summation and any IEEE arithmetic of the format, with or without gradual underflow. An operation that is exact in the
format adds nothing, so that a bound of 0 means: bit for bit.

Arrays are as those of :class:`.double_double.Wide`. Below, x̂ is a computed x. The rule of a reduction takes the place
of its axis as ``axis``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..dtypes import F64
from . import bound_classes as classes
from . import bound_derivatives as derivatives
from . import bound_sums as sums
from .arithmetic import ULPS, Arithmetic, product_error, quotient_error
from .double_double import Wide
from .overflow import Bounded
from .wide_functions import stable_sigmoid

WIDENING = 1 + 2.0**-25
"""Covers the error of the wide reading (see its docstring) and of computing the bound itself in float64."""

_LARGEST_EXPONENT = 700.0
"""exp of it is finite in float64."""


# -- arithmetic --------------------------------------------------------------------------------------------------------


def addition(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """x ± y: e_x + e_y, and one rounding unless an operand is exactly 0."""
    e = x.e + y.e
    trivial = ((x.v.hi == 0) & (x.e == 0)) | ((y.v.hi == 0) & (y.e == 0))
    return np.where(trivial, e + arithmetic.eta(v, e), arithmetic.round(v, e))


def unchanged(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """-x, |x| and a copy of x: the error of x, because nothing is rounded and ||x̂| - |x|| ≤ |x̂ - x|."""
    return x.e


def mul(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """x·y: |x|e_y + |y|e_x + e_x·e_y, and one rounding unless an exact scalar operand is 0 or a power of two."""
    e = product_error(x, y)
    rounded = arithmetic.round(v, e)
    for operand in (x, y):
        if operand.v.hi.size == len(operand.v.hi):
            mantissa, _ = np.frexp(operand.size)
            scaling = (operand.e == 0) & ((mantissa == 0.5) | (mantissa == 0))
            if scaling.any():
                rounded = np.where(scaling, e + arithmetic.eta(v, e), rounded)
    return rounded


def div(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """x/y: (e_x + |x/y|e_y) / (|y| - e_y), and one rounding."""
    return arithmetic.round(v, quotient_error(v, x, y))


def square(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """x²: 2|x|e + e², and one rounding."""
    return arithmetic.round(v, 2 * x.size * x.e + x.e * x.e)


def sqrt(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """√x: e / (√x + √(x - e)), because |√x̂ - √x| = |x̂ - x| / (√x̂ + √x) and x̂ ≥ x - e; and one rounding."""
    denominator = v.hi + np.sqrt(np.maximum(x.v.hi - x.e, 0.0))
    change = np.where(x.e == 0, 0.0, x.e / np.where(denominator > 0, denominator, 1.0))
    return arithmetic.round(v, change)


# -- branches ----------------------------------------------------------------------------------------------------------


def maximum(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """max(x, y): the error of the larger where |x - y| > e_x + e_y, else max(e_x, e_y); nothing is rounded."""
    difference = x.v.hi - y.v.hi
    clear = np.abs(difference) > x.e + y.e
    return np.where(clear, np.where(difference > 0, x.e, y.e), np.maximum(x.e, y.e))


def minimum(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """min(x, y) = -max(-x, -y)."""
    return maximum(arithmetic, v, Bounded(Wide(-x.v.hi), x.e), Bounded(Wide(-y.v.hi), y.e))


def relu(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """max(x, 0): the error of x, and 0 where no computed x is positive."""
    return np.where(x.v.hi < -x.e, 0.0, x.e)


def where(arithmetic: Arithmetic, v: Wide, label: Bounded, value: Bounded, x: Bounded, y: Bounded) -> F64:
    """The error of the branch that the label chooses; labels are exact."""
    return np.where(label.v.hi == value.v.hi, x.e, y.e)


# -- functions: the largest change of a monotone function over [x - e, x + e], in closed form, plus k ulp --------------


def _function(arithmetic: Arithmetic, name: str, v: Wide, change: F64, more: F64 | float = 0.0) -> F64:
    e = change + (ULPS[name] + more) * arithmetic.dtype.ulp(v.hi)
    return e + arithmetic.eta(v, e)


def _log_change(x: F64, e: F64) -> F64:
    """log(x) - log(x - e) = log1p(e / (x - e)), ∞ where x - e is not positive."""
    low = x - e
    return np.where(low > 0, np.log1p(e / np.where(low > 0, low, 1.0)), np.inf)


def exp(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """exp(x + e) - exp(x) = exp(x)·expm1(e)."""
    return _function(arithmetic, "exp", v, np.abs(v.hi) * np.expm1(x.e))


def expm1(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """expm1(x + e) - expm1(x) = exp(x)·expm1(e)."""
    return _function(arithmetic, "expm1", v, np.abs(v.hi + 1) * np.expm1(x.e))


def log(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """log(x) - log(x - e) = log1p(e / (x - e))."""
    return _function(arithmetic, "log", v, _log_change(x.v.hi, x.e))


def log1p(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """As ``log``, at 1 + x."""
    return _function(arithmetic, "log1p", v, _log_change(x.v.hi + 1, x.e))


def softplus(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """softplus(x + e) - softplus(x) = log1p(σ(x)·expm1(e)), and never more than e, because its slope is below 1.

    Where exp(e) overflows it is e.
    """
    change = np.log1p(stable_sigmoid(x.v.hi) * np.expm1(np.minimum(x.e, _LARGEST_EXPONENT)))
    return _function(arithmetic, "softplus", v, np.where(x.e > _LARGEST_EXPONENT, x.e, np.minimum(change, x.e)))


def sigmoid(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """|σ(x ± e) - σ(x)| ≤ σ(x)·σ(-x)·expm1(e), and never more than 1; as it stands where exp(e) overflows.

    |x| ulp are granted beside the 4, because exp(x - softplus(x)) carries the rounding of its exponent, which for
    positive x ends where softplus(x) is x, and for negative x where σ(x) underflows.
    """
    s = stable_sigmoid(x.v.hi)
    change = s * stable_sigmoid(-x.v.hi) * np.expm1(np.minimum(x.e, _LARGEST_EXPONENT))
    direct = np.maximum(stable_sigmoid(x.v.hi + x.e) - s, s - stable_sigmoid(x.v.hi - x.e))
    change = np.where(x.e > _LARGEST_EXPONENT, direct, change)
    dtype = arithmetic.dtype
    exponent = np.where(x.v.hi < 0, np.minimum(x.size, 2.0 * -dtype.emin), np.minimum(x.size, dtype.p))
    return _function(arithmetic, "sigmoid", v, np.minimum(change, 1.0), exponent)


def xlogy(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """x·log(y): |x|e_L + |L|e_x + e_x·e_L from L = log(y) and its error e_L, k ulp among it, and one rounding.

    Nothing where x is 0, and e_L = 0 where y is 1. So an implementation may round the logarithm before the product.
    """
    size = np.abs(np.log(y.v.hi))
    change = _log_change(y.v.hi, y.e)
    granted = ULPS["xlogy"] * arithmetic.dtype.ulp(size + change)
    granted = np.where((size == 0) & (y.e == 0), 0.0, granted)
    if x.v is y.v:
        propagated = _entropy_change(x.v.hi, x.e)
    else:
        propagated = x.size * change + np.where(x.e > 0, x.e * (size + change), 0.0)
    nothing = (x.v.hi == 0) & (x.e == 0)
    return arithmetic.round(v, np.where(nothing, 0.0, propagated + (x.size + x.e) * granted))


def _entropy_change(x: F64, e: F64) -> F64:
    """The largest change of t·log(t) over [x - e, x + e], for one number that is both operands and off alike.

    The slope is 1 + log(t), which is largest at one of the ends. Where x̂ may be 0 (flushed to zero, say) it has no
    bound; there the change is the largest of those to 0, to x + e and to the minimum -1/e at 1/e, if that lies between.
    """
    low, high = x - e, x + e
    slope = np.maximum(np.abs(1 + np.log(np.where(low > 0, low, 1.0))), np.abs(1 + np.log(high)))
    here, there = x * np.log(np.where(x > 0, x, 1.0)), high * np.log(np.where(high > 0, high, 1.0))
    dip = np.where(high > np.exp(-1), np.abs(here + np.exp(-1)), 0.0)
    to_zero = np.maximum(np.maximum(np.abs(here), np.abs(there - here)), dip)
    return np.where(e == 0, 0.0, np.where(low > 0, e * slope, to_zero))


def xdivy(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """x/y as a quotient, and nothing where x is 0."""
    return np.where((x.v.hi == 0) & (x.e == 0), 0.0, div(arithmetic, v, x, y))


RULES: Mapping[str, Callable[..., F64]] = {
    "add": addition, "sub": addition, "mul": mul, "div": div, "neg": unchanged, "square": square,
    "xlogy": xlogy, "xdivy": xdivy,
    "max": maximum, "min": minimum, "relu": relu, "abs": unchanged, "where": where,
    "exp": exp, "expm1": expm1, "log": log, "log1p": log1p, "sqrt": sqrt, "softplus": softplus, "sigmoid": sigmoid,
    "largest": classes.largest, "lse": classes.lse, "softmax": classes.softmax, "pick": classes.pick,
    "scatter": classes.scatter, "gap": classes.gap, "detach": unchanged,
    "sum": sums.sum_along, "mean": sums.mean, "count": sums.count,
    "dot": sums.dot, "sqnorm": sums.sqnorm, "norm": sums.norm, "fork": sums.fork,
    "step": derivatives.slope, "sign": derivatives.slope, "unit": derivatives.unit, "radial": derivatives.radial,
    "spread": unchanged, "either": derivatives.either,
}  # fmt: skip
"""The rule of each operation: ``rule(arithmetic, v, *operands)`` is the error of the computed result."""
