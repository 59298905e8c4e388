"""The exact reading: values and gradients as balls of real numbers (python-flint's Arb).

Arb is not IEEE, so a scalar here is either an ``arb`` (a finite real, enclosed) or a float that is nan or ±inf, and
each rule says what the two do together. A comparison that a ball cannot decide raises :class:`Undecided`; callers
raise the working precision until it can be decided (Arb's own comparisons would answer False).

Source of the arithmetic: Johansson, Arb: Efficient Arbitrary-Precision Midpoint-Radius Interval Arithmetic, 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from flint import arb, fmpq

from ..formula.tree import Node

Real = arb | float
"""A ball, or a float that is nan or ±inf."""
Row = list[Real]
Value = Real | Row


class Undecided(ArithmeticError):  # noqa: N818 (an outcome, not an error)
    """The balls are too wide at this precision."""


@dataclass(frozen=True)
class Choice:
    """What is left open by the mathematics: the slope of ``max`` at a tie, and the product 0·∞.

    IEEE arithmetic makes 0·∞ a NaN; the limit is 0. Both conform, so both are evaluated where infinities occur.
    """

    tie: int = 0
    zero_times_inf: float = math.nan


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


def _shadow(x: Real) -> float:
    """A float that behaves like ``x`` beside an infinity or nan."""
    return x if isinstance(x, float) else float(sign(x))


def _nan(*xs: Real) -> bool:
    return any(isinstance(x, float) and math.isnan(x) for x in xs)


def add(x: Real, y: Real) -> Real:
    if isinstance(x, float) or isinstance(y, float):
        return (x if isinstance(x, float) else 0.0) + (y if isinstance(y, float) else 0.0)
    return x + y


def neg(x: Real) -> Real:
    return -x


def mul(x: Real, y: Real, choice: Choice) -> Real:
    if isinstance(x, float) or isinstance(y, float):
        if _nan(x, y):
            return math.nan
        p, q = _shadow(x), _shadow(y)
        if p == 0 or q == 0:
            zero = choice.zero_times_inf
            return zero if math.isnan(zero) else arb(0)
        return p * q
    return x * y


def div(x: Real, y: Real) -> Real:
    if isinstance(y, float):
        return math.nan if isinstance(x, float) or math.isnan(y) else arb(0)
    if sign(y) == 0:
        return math.nan if _nan(x) or sign(x) == 0 else sign(x) * math.inf
    return _shadow(x) * sign(y) if isinstance(x, float) else x / y


def maximum(x: Real, y: Real) -> Real:
    if _nan(x, y):
        return math.nan
    if isinstance(x, float):
        return x if x > 0 else y
    if isinstance(y, float):
        return y if y > 0 else x
    order = sign(x - y)
    return x if order > 0 else y


def step(x: Real, y: Real, choice: Choice) -> Real:
    """∂max(x, y)/∂x: 1 where x > y, 0 where x < y; at a tie any of [0, 1], here ``choice.tie``."""
    difference = add(x, neg(y))
    if _nan(difference):
        return math.nan
    order = sign(difference)
    return arb((order + 1) // 2 if order else choice.tie)


def norm(xs: Row) -> Real:
    if _nan(*xs):
        return math.nan
    if any(isinstance(x, float) for x in xs):
        return math.inf
    total = sum((x * x for x in xs), arb(0))
    assert not isinstance(total, float)
    return total.sqrt() if sign(total) else arb(0)


def unit(x: Real, length: Real) -> Real:
    """x/‖x‖, and 0 where ‖x‖ = 0: the gradient of the norm that the suite asks for."""
    if isinstance(length, arb) and sign(length) == 0:
        return arb(0)
    return div(x, length)


def _function(
    finite: Callable[[arb], arb], at_minus_inf: float, at_inf: float, lowest: int | None = None
) -> Callable[[Real], Real]:
    """A continuous function with its limits at ±inf; below ``lowest`` it is nan."""

    def rule(x: Real) -> Real:
        if isinstance(x, float):
            return math.nan if math.isnan(x) else lift(at_inf if x > 0 else at_minus_inf)
        if lowest is not None:
            order = sign(x - lowest)
            if order < 0:
                return math.nan
            if order == 0 and at_minus_inf == -math.inf:
                return -math.inf
        return finite(x)

    return rule


def _softplus(x: arb) -> arb:
    if x.contains(0):
        return x.exp().log1p()
    return (-abs(x)).exp().log1p() + (x if x > 0 else arb(0))


def _sigmoid(x: arb) -> arb:
    if x.contains(0):
        return 1 / (1 + (-x).exp())
    small = (-abs(x)).exp()
    return (arb(1) if x > 0 else small) / (1 + small)


def _equal(label: Real, value: Real) -> bool:
    return not isinstance(label, float) and sign(add(label, neg(value))) == 0


def _where(label: Value, value: Value, x: Value, y: Value) -> Value:
    assert not isinstance(label, list)
    assert not isinstance(value, list)
    if _nan(label):  # a NaN label counts as NaN input: it reaches the value
        return math.nan
    return x if _equal(label, value) else y


def total(xs: Sequence[Real]) -> Real:
    """The sum of scalars."""
    result: Real = arb(0)
    for x in xs:
        result = add(result, x)
    return result


def _identity(x: Real) -> Real:
    return x


ELEMENTWISE: Mapping[str, Callable[..., Real]] = {
    "add": lambda c, x, y: add(x, y),
    "sub": lambda c, x, y: add(x, neg(y)),
    "mul": lambda c, x, y: mul(x, y, c),
    "div": lambda c, x, y: div(x, y),
    "neg": lambda c, x: neg(x),
    "square": lambda c, x: mul(x, x, c),
    "max": lambda c, x, y: maximum(x, y),
    "min": lambda c, x, y: neg(maximum(neg(x), neg(y))),
    "relu": lambda c, x: maximum(x, arb(0)),
    "abs": lambda c, x: maximum(x, neg(x)),
    "exp": lambda c, x: _function(arb.exp, 0.0, math.inf)(x),
    "expm1": lambda c, x: _function(arb.expm1, -1.0, math.inf)(x),
    "log": lambda c, x: _function(arb.log, -math.inf, math.inf, 0)(x),
    "log1p": lambda c, x: _function(arb.log1p, -math.inf, math.inf, -1)(x),
    "sqrt": lambda c, x: _function(arb.sqrt, math.nan, math.inf, 0)(x),
    "softplus": lambda c, x: _function(_softplus, 0.0, math.inf)(x),
    "sigmoid": lambda c, x: _function(_sigmoid, 0.0, 1.0)(x),
    "step": lambda c, x, y: step(x, y, c),
    "sign": lambda c, x: add(mul(arb(2), step(x, neg(x), c), c), arb(-1)),
    "unit": lambda c, x, length: unit(x, length),
    "radial": lambda c, g, x: mul(g, x, c),
    "spread": lambda c, x: _identity(x),
    "fork": lambda c, *xs: total(xs),
    "either": lambda c, x, *others: x,
}  # fmt: skip

REDUCTIONS: Mapping[str, Callable[..., Real]] = {
    "sum": lambda c, xs: total(xs),
    "dot": lambda c, xs, ys: total([mul(x, y, c) for x, y in zip(xs, ys, strict=True)]),
    "sqnorm": lambda c, xs: total([mul(x, x, c) for x in xs]),
    "norm": lambda c, xs: norm(xs),
}


def evaluate(order: Sequence[Node], leaves: Mapping[str, Value], choice: Choice, width: int) -> dict[Node, Value]:
    """The value of every node of ``order`` (operands first) for one example.

    ``leaves`` gives inputs, parameters and the seed by name, a list of ``width`` = D scalars for a vector. Works at
    the current Arb precision; raises :class:`Undecided` when that is too low.
    """
    values: dict[Node, Value] = {}
    for node in order:
        args = [values[arg] for arg in node.args]
        if isinstance(node.payload, Fraction):
            values[node] = arb(fmpq(node.payload.numerator, node.payload.denominator))
        elif not node.args:
            values[node] = leaves[str(node.payload)]
        elif node.op == "where":
            values[node] = _where(*args)
        elif node.op in REDUCTIONS:
            values[node] = REDUCTIONS[node.op](choice, *args)
        elif node.vector:
            rows = [arg if isinstance(arg, list) else [arg] * width for arg in args]
            values[node] = [ELEMENTWISE[node.op](choice, *column) for column in zip(*rows, strict=True)]
        else:
            values[node] = ELEMENTWISE[node.op](choice, *args)
    return values
