"""The exact reading: values and gradients as balls of real numbers, for the examples of a batch.

A scalar is a ball or a float that is nan or ±inf (see ``balls``), and each rule says what the two do together. Rules
take and give scalars, but for those of reductions, which take the scalars along an axis; :func:`evaluate` applies a
rule to each element of arrays of objects. Any rule that compares may raise :class:`.balls.Undecided`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np
from flint import arb, fmpq
from numpy.typing import NDArray

from ..dtypes import F64
from ..formula.operations import AXIAL, EXCHANGING, OPERATIONS, REDUCING
from ..formula.tree import BATCH, Dims, Node
from .balls import BALL_FUNCTIONS, Real, any_nan, lift
from .balls import sign as sign_of
from .convention import LIMIT, Convention
from .exact_scalars import (
    absolute,
    add,
    both,
    div,
    equal,
    maximum,
    minimum,
    mul,
    neg,
    negated,
    only,
    power,
    power_slope,
    relu,
    square,
    sub,
    where,
    xdivy,
    xlogy,
)
from .layout import laid_out

Vector = Sequence[Real]
"""Scalars along an axis."""
Exact = NDArray[np.object_]
"""Scalars, with every axis of the formula at its place (see ``layout``)."""


def total(xs: Sequence[Real]) -> Real:
    """The sum of scalars."""
    result: Real = arb(0)
    for x in xs:
        result = add(result, x)
    return result


def dot(xs: Vector, ys: Vector, convention: Convention) -> Real:
    """Σxᵢyᵢ, where 0·∞ is what the convention says."""
    return total([mul(x, y, convention) for x, y in zip(xs, ys, strict=True)])


def mean(xs: Vector) -> Real:
    """Σxᵢ/n."""
    return div(total(xs), count(xs))


def count(xs: Vector) -> Real:
    """n."""
    return arb(len(xs))


def largest(xs: Vector) -> Real:
    """The largest, nan where one is."""
    return functools.reduce(maximum, xs)


def lse(xs: Vector, convention: Convention) -> Real:
    """log Σ exp(xᵢ), shifted by one of the largest; -∞ of nothing but -∞; of ∞ what the convention says."""
    if any_nan(*xs):
        return math.nan
    finite = [x for x in xs if not isinstance(x, float)]
    if any(isinstance(x, float) and x > 0 for x in xs):
        return math.inf if convention.limit else math.nan
    if not finite:
        return -math.inf
    shift = max(finite, key=lambda x: float(x.mid()))
    return shift + sum(((x - shift).exp() for x in finite), arb(0)).log()


def logaddexp(x: Real, y: Real, convention: Convention) -> Real:
    """log(exp(x) + exp(y)), as the log-sum-exp of two."""
    return lse((x, y), convention)


def softmax(xs: Vector) -> Vector:
    """exp(xᵢ - lse(x)): 0 at -∞; as the difference has it where the lse is an infinity or nan."""
    whole = lse(xs, LIMIT)
    return [BALL_FUNCTIONS["exp"](sub(x, whole)) for x in xs]


def pick(xs: Vector, labels: Vector) -> Real:
    """The entry at the label, which is the same all along the axis; 0 where it is no index."""
    place = _index(labels[0])
    return xs[place] if place is not None and 0 <= place < len(xs) else arb(0)


def gap(xs: Vector, labels: Vector, convention: Convention) -> Vector:
    """xᵢ less the entry at the label; 0 there, but what the convention says where that is infinite."""
    entry, place = pick(xs, labels), _index(labels[0])
    own = arb(0) if convention.limit and not any_nan(entry) else sub(entry, entry)
    return [own if index == place else sub(x, entry) for index, x in enumerate(xs)]


def scatter(gs: Vector, labels: Vector, like: Vector) -> Vector:
    """g at the label, else 0."""
    place = _index(labels[0])
    return [g if index == place else arb(0) for index, g in enumerate(gs)]


def _index(label: Real) -> int | None:
    return None if isinstance(label, float) else int(float(label.mid()))


def sqnorm(xs: Vector) -> Real:
    """Σxᵢ²."""
    return total([square(x) for x in xs])


def norm(xs: Vector) -> Real:
    """‖x‖; an infinite component makes it ∞, unless another is nan."""
    if any_nan(*xs):
        return math.nan
    if any(isinstance(x, float) for x in xs):
        return math.inf
    squared = sum((x * x for x in xs), arb(0))
    assert not isinstance(squared, float)
    return squared.sqrt() if sign_of(squared) else arb(0)


def step(x: Real, y: Real, convention: Convention) -> Real:
    """∂max(x, y)/∂x: 1 where x > y, 0 where x < y; at a tie any of [0, 1], here ``convention.tie``."""
    difference = sub(x, y)
    if any_nan(difference):
        return math.nan
    order = sign_of(difference)
    return arb((order + 1) // 2 if order else convention.tie)


def sign(x: Real, convention: Convention) -> Real:
    """∂|x|/∂x: 1 where x > 0, -1 where x < 0; at 0 one of these, by ``convention.tie``."""
    return add(mul(arb(2), step(x, neg(x), convention), convention), arb(-1))


def unit(x: Real, length: Real) -> Real:
    """x/‖x‖, and 0 where ‖x‖ = 0: the gradient of the norm that the suite asks for."""
    if isinstance(length, arb) and sign_of(length) == 0:
        return arb(0)
    return div(x, length)


def radial(g: Real, x: Real, length: Real, convention: Convention) -> Real:
    """g·x; the length serves the bound alone."""
    return mul(g, x, convention)


def fork(*xs: Real) -> Real:
    """The sum of contributions."""
    return total(xs)


def first(x: Real, *others: Real) -> Real:
    """The first of equal numbers; of a single one, that one."""
    return x


RULES: Mapping[str, Callable[..., Real | Vector]] = {
    "add": add, "sub": sub, "mul": mul, "div": div, "neg": neg, "square": square,
    "xlogy": xlogy, "xdivy": xdivy,
    "max": maximum, "min": minimum, "relu": relu, "abs": absolute, **BALL_FUNCTIONS,
    "power": power, "power_slope": power_slope, "logaddexp": logaddexp,
    "where": where, "only": only, "equal": equal, "not": negated, "both": both, "swap": first,
    "largest": largest, "lse": lse, "softmax": softmax, "pick": pick, "scatter": scatter, "gap": gap, "detach": first,
    "sum": total, "mean": mean, "count": count, "dot": dot, "sqnorm": sqnorm, "norm": norm,
    "step": step, "sign": sign, "unit": unit, "radial": radial, "spread": first, "fork": fork, "either": first,
}  # fmt: skip
"""The rule of each operation: from its operands, followed by the convention where it depends on one."""

_DEPENDS_ON_CONVENTION = frozenset(
    name for name, row in OPERATIONS.items() if row.sides or row.multiplies or row.shifts
)


def lifted(array: F64, dims: Dims, axes: Dims) -> Exact:
    """Numbers with the axes ``dims`` as scalars of this reading, exactly."""
    return np.asarray(np.frompyfunc(lambda x: lift(float(x)), 1, 1)(laid_out(array, dims, axes)), object)


def single(x: Real, axes: Dims) -> Exact:
    """One scalar that has none of the axes."""
    found = np.empty((1,) * len(axes), object)
    found[...] = x
    return found


def evaluate(
    order: Sequence[Node], leaves: Mapping[str, Exact], convention: Convention, axes: Dims
) -> dict[Node, Exact]:
    """The value of every node of ``order`` (operands first).

    ``leaves`` gives inputs, parameters and the seed by name; ``axes`` are those of the formula. Works at the current
    Arb precision; raises :class:`.balls.Undecided` when that is too low.
    """
    values: dict[Node, Exact] = {}
    with np.errstate(invalid="ignore"):  # of floats, which are not finite here
        for node in order:
            args = [values[arg] for arg in node.args]
            if isinstance(node.payload, Fraction):
                values[node] = single(arb(fmpq(node.payload.numerator, node.payload.denominator)), axes)
            elif not args:
                values[node] = leaves[str(node.payload)]
            elif node.op in EXCHANGING:
                values[node] = np.swapaxes(args[0], axes.index(BATCH), axes.index(str(node.payload)))
            elif node.op in AXIAL:
                values[node] = _along(_rule(node, convention), args, axes.index(str(node.payload)), node.op in REDUCING)
            else:
                values[node] = np.asarray(np.frompyfunc(_rule(node, convention), len(args), 1)(*args), object)
    return values


def _rule(node: Node, convention: Convention) -> Callable[..., Real | Vector]:
    """The rule of a node's operation under a convention, from its operands alone."""
    rule = RULES[node.op]
    return (lambda *xs: rule(*xs, convention)) if node.op in _DEPENDS_ON_CONVENTION else rule


def _along(rule: Callable[..., Real | Vector], args: Sequence[Exact], axis: int, reduces: bool) -> Exact:
    """A rule along an axis of arrays, which stays with size 1 where the operation ``reduces``."""
    last = [np.moveaxis(x, axis, -1) for x in np.broadcast_arrays(*args)]
    found = np.empty((*last[0].shape[:-1], 1) if reduces else last[0].shape, object)
    for index in np.ndindex(found.shape[:-1]):
        found[index] = rule(*(x[index].tolist() for x in last))
    return np.moveaxis(found, -1, axis)
