"""The exact reading: values and gradients as balls of real numbers, for the examples of a batch.

A scalar is a ball or a float that is nan or ±inf (see ``balls``), and each rule says what the two do together. Rules
take and give scalars, but for those of reductions, which take the scalars along an axis; :func:`evaluate` applies a
rule to each element of arrays of objects. Any rule that compares may raise :class:`.balls.Undecided`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np
from flint import arb, fmpq
from numpy.typing import NDArray

from ..dtypes import F64
from ..formula.operations import AXIAL, EXCHANGING, OPERATIONS, REDUCING
from ..formula.tree import BATCH, Dims, Node
from . import exact_counts as several
from . import exact_scalars as scalars
from . import exact_vectors as vectors
from .balls import BALL_FUNCTIONS, Real, any_nan, lift
from .balls import sign as sign_of
from .convention import Convention
from .exact_scalars import add, div, mul, neg, sub
from .exact_vectors import Vector, lse, total
from .layout import laid_out

Exact = NDArray[np.object_]
"""Scalars, with every axis of the formula at its place (see ``layout``)."""


def logaddexp(x: Real, y: Real, convention: Convention) -> Real:
    """log(exp(x) + exp(y)), as the log-sum-exp of two."""
    return lse((x, y), convention)


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
    "add": scalars.add, "sub": scalars.sub, "mul": scalars.mul, "div": scalars.div, "neg": scalars.neg,
    "square": scalars.square, "power": scalars.power, "power_slope": scalars.power_slope,
    "xlogy": scalars.xlogy, "xdivy": scalars.xdivy, "logaddexp": logaddexp, **BALL_FUNCTIONS,
    "max": scalars.maximum, "min": scalars.minimum, "relu": scalars.relu, "abs": scalars.absolute,
    "where": scalars.where, "only": scalars.only, "swap": first,
    "equal": scalars.equal, "not": scalars.negated, "both": scalars.both, "any": vectors.largest,
    "joint_lse": vectors.joint_lse, "joint_softmax": vectors.joint_softmax, "depth": vectors.depth,
    "whole": vectors.whole,
    "largest": vectors.largest, "lse": vectors.lse, "softmax": vectors.softmax, "detach": first,
    "pick": vectors.pick, "scatter": vectors.scatter, "gap": vectors.gap,
    "sum": vectors.total, "mean": vectors.mean, "count": vectors.count,
    "dot": vectors.dot, "sqnorm": vectors.sqnorm, "norm": vectors.norm,
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
    order: Sequence[Node],
    leaves: Mapping[str, Exact],
    convention: Convention,
    axes: Dims,
    counts: Mapping[str, Sequence[int]] | None = None,
) -> dict[Node, Exact]:
    """The value of every node of ``order`` (operands first).

    ``leaves`` gives inputs, parameters and the seed by name; ``axes`` are those of the formula, ``counts`` says of an
    axis how often each entry along it occurs, once where it says nothing. Works at the current
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
                rule = _counted(node, convention, counts or {}) or _rule(node, convention)
                values[node] = _along(rule, args, axes.index(str(node.payload)), node.op in REDUCING)
            else:
                values[node] = np.asarray(np.frompyfunc(_rule(node, convention), len(args), 1)(*args), object)
    return values


def _rule(node: Node, convention: Convention) -> Callable[..., Real | Vector]:
    """The rule of a node's operation under a convention, from its operands alone."""
    rule = RULES[node.op]
    return (lambda *xs: rule(*xs, convention)) if node.op in _DEPENDS_ON_CONVENTION else rule


def _counted(
    node: Node, convention: Convention, counts: Mapping[str, Sequence[int]]
) -> Callable[..., Real | Vector] | None:
    """The rule of an operation along an axis whose entries occur several times, if that matters to it."""
    times, rule = counts.get(str(node.payload)), several.RULES.get(node.op)
    return None if times is None or rule is None else lambda *xs: rule(*xs, list(map(arb, times)), convention)


def _along(rule: Callable[..., Real | Vector], args: Sequence[Exact], axis: int, reduces: bool) -> Exact:
    """A rule along an axis of arrays, which stays with size 1 where the operation ``reduces``."""
    last = [np.moveaxis(x, axis, -1) for x in np.broadcast_arrays(*args)]
    found = np.empty((*last[0].shape[:-1], 1) if reduces else last[0].shape, object)
    for index in np.ndindex(found.shape[:-1]):
        found[index] = rule(*(x[index].tolist() for x in last))
    return np.moveaxis(found, -1, axis)
