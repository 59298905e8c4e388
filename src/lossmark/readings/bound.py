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
from . import bound_functions as functions
from . import bound_sums as sums
from .arithmetic import Arithmetic, product_error, quotient_error
from .double_double import Wide
from .overflow import Bounded

WIDENING = 1 + 2.0**-25
"""Covers the error of the wide reading (see its docstring) and of computing the bound itself in float64."""


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


def where(arithmetic: Arithmetic, v: Wide, condition: Bounded, x: Bounded, y: Bounded) -> F64:
    """The error of the branch that the condition chooses; conditions are exact."""
    return np.where(condition.v.hi == 1, x.e, y.e)


def only(arithmetic: Arithmetic, v: Wide, condition: Bounded, x: Bounded) -> F64:
    """The error of x where the condition is true; -∞ is exact."""
    return np.where(condition.v.hi == 1, x.e, 0.0)


def exact(arithmetic: Arithmetic, v: Wide, *operands: Bounded) -> F64:
    """0: a condition is true or false, a slope is an integer, and rows whose side is undecided are read twice."""
    return np.zeros_like(v.hi)


def swap(arithmetic: Arithmetic, v: Wide, x: Bounded, axis: int) -> F64:
    """The errors change places as the numbers do."""
    return np.swapaxes(np.broadcast_to(x.e, x.v.hi.shape), 0, axis)


def xdivy(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """x/y as a quotient, and nothing where x is 0."""
    return np.where((x.v.hi == 0) & (x.e == 0), 0.0, div(arithmetic, v, x, y))


RULES: Mapping[str, Callable[..., F64]] = {
    "add": addition, "sub": addition, "mul": mul, "div": div, "neg": unchanged, "square": square,
    "xlogy": functions.xlogy, "xdivy": xdivy,
    "max": maximum, "min": minimum, "relu": relu, "abs": unchanged, "sqrt": sqrt,
    "where": where, "only": only, "equal": exact, "not": exact, "both": exact, "any": classes.largest, "swap": swap,
    "exp": functions.exp, "expm1": functions.expm1, "log": functions.log, "log1p": functions.log1p,
    "log1mexp": functions.log1mexp, "softplus": functions.softplus, "sigmoid": functions.sigmoid,
    "tanh": functions.tanh, "logcosh": functions.logcosh, "logaddexp": functions.logaddexp,
    "power": functions.power, "power_slope": functions.power_slope,
    "largest": classes.largest, "lse": classes.lse, "softmax": classes.softmax, "pick": classes.pick,
    "scatter": classes.scatter, "gap": classes.gap, "detach": unchanged,
    "joint_lse": classes.joint_lse, "joint_softmax": classes.joint_softmax, "depth": classes.depth,
    "whole": classes.whole,
    "sum": sums.sum_along, "mean": sums.mean, "count": sums.count,
    "dot": sums.dot, "sqnorm": sums.sqnorm, "norm": sums.norm, "fork": sums.fork,
    "step": exact, "sign": exact, "unit": derivatives.unit, "radial": derivatives.radial,
    "spread": unchanged, "either": derivatives.either,
}  # fmt: skip
"""The rule of each operation: ``rule(arithmetic, v, *operands)`` is the error of the computed result."""
