"""The joined reading: the wide reading (values) with the bound reading (errors) over a formula and its gradients.

Reads every evaluation of the formula (as written, and its associations), both sides of a kink that cannot be told
apart, and the limit 0·∞ = 0 beside IEEE arithmetic.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType
from ..formula.gradients import Gradients
from ..formula.tree import Node, topological
from ..readings import wide
from ..readings.bound import Bound
from ..readings.overflow import NAN as NAN_FLAG
from ..readings.overflow import Bounded, finish, merge
from ..readings.wide import Wide
from ..specification.case import Param
from .acceptance import Acceptance, Kink, acceptance

SQUARES_OVERFLOW = 2.0**500
"""Magnitudes from which sums of squares may overflow in float64."""

Known = dict[Node, Bounded]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Plan:
    """The nodes of all evaluations of a formula in order: those that a cotangent does not touch, and the others."""

    gradients: Gradients
    still: Sequence[Node]
    moving: Sequence[Node]
    kinks: Sequence[frozenset[Node]]
    """The ``step`` and ``sign`` nodes of each evaluation."""


@functools.lru_cache(maxsize=256)
def plan_of(gradients: Gradients) -> Plan:
    trees = [list(slopes.values()) for slopes in gradients.trees]
    order = topological([*gradients.formula.evaluations, *(tree for slopes in trees for tree in slopes)])
    moving: dict[Node, None] = {}
    for node in order:
        if node.op == "seed" or any(arg in moving for arg in node.args):
            moving[node] = None
    kinks = [frozenset(node for node in topological(slopes) if node.op in ("step", "sign")) for slopes in trees]
    return Plan(gradients, [node for node in order if node not in moving], list(moving), kinks)


@dataclass(frozen=True)
class Piece:
    """The result of one block of rows."""

    value: Acceptance
    gradients: dict[str, dict[str, Acceptance]]
    kinks: dict[str, Kink | None]


@dataclass(frozen=True)
class Still:
    """What does not depend on the cotangent: values, and the rows of each evaluation whose kink is undecided."""

    known: Known
    kinked: Sequence[NDArray[np.bool_]]
    limit: bool = False
    """0·∞ is taken as 0 instead of NaN."""


@dataclass(frozen=True)
class Reading:
    """The joined reading of one formula with its parameters in one dtype."""

    plan: Plan
    params: Mapping[str, Param]
    dtype: DType

    def block(self, leaves: Mapping[str, F64], seeds: Mapping[str, Bounded], start: int) -> Piece:
        leaves = self._extended(leaves)
        still = self.still(leaves, 0)
        finite = all(np.isfinite(array).all() for array in leaves.values())
        limit = None if finite else self.still(leaves, 0, limit=True)
        value = acceptance(self._value(still), None if limit is None else self._value(limit))
        undecided = np.flatnonzero(np.logical_or.reduce(still.kinked))
        fewer = {name: array[undecided] for name, array in leaves.items()}
        other_side = self.still(fewer, 1) if len(undecided) else None
        slopes: dict[str, dict[str, Acceptance]] = {}
        kinks: dict[str, Kink | None] = {}
        for reduction, seed in seeds.items():
            zero = self._slopes(still, seed, leaves)
            one = self._slopes(other_side, take(seed, undecided), fewer) if other_side else []
            others = self._slopes(limit, seed, leaves)[0] if limit else {}
            merged = {name: _largest([part[name] for part in zero]) for name in zero[0]}
            if one:
                merged = {name: _widen(part, undecided, [side[name] for side in one]) for name, part in merged.items()}
            slopes[reduction] = {name: acceptance(part, others.get(name)) for name, part in merged.items()}
            kinks[reduction] = self._kink(still, undecided, zero, one, start)
        self._free(value, slopes)
        return Piece(value, slopes, kinks)

    def _extended(self, leaves: Mapping[str, F64]) -> Mapping[str, F64]:
        """Float64 inputs whose squares overflow are read with the exponents of long double.

        The narrower formats are read in float64, where a finite result is found although an intermediate overflows
        in the format. On machines whose long double is a double, only what IEEE arithmetic gives is found.
        """
        largest = max(float(np.max(np.abs(array), where=np.isfinite(array), initial=0.0)) for array in leaves.values())
        if self.dtype.p != 53 or largest < SQUARES_OVERFLOW:
            return leaves
        return {name: array.astype(np.longdouble) for name, array in leaves.items()}

    def _value(self, still: Still) -> Bounded:
        parts = [still.known[root] for root in self.plan.gradients.formula.evaluations]
        return _spread(_largest(parts), (len(still.kinked[0]), 1))

    def _slopes(self, still: Still, seed: Bounded, leaves: Mapping[str, F64]) -> list[dict[str, Bounded]]:
        """The gradients of each evaluation under one cotangent."""
        known = dict(still.known)
        for node in self.plan.moving:
            known[node] = (
                seed if node.op == "seed" else self._node(node, [known[arg] for arg in node.args], still.limit)
            )
        return [
            {name: _spread(known[tree], leaves[name].shape) for name, tree in trees.items()}
            for trees in self.plan.gradients.trees
        ]

    def _kink(
        self,
        still: Still,
        rows: Rows,
        zero: Sequence[Mapping[str, Bounded]],
        one: Sequence[Mapping[str, Bounded]],
        start: int,
    ) -> Kink | None:
        """Both ends of the gradient in the undecided rows, from the first evaluation that is undecided there."""
        if not one:
            return None
        first = np.argmax(np.stack([kinked[rows] for kinked in still.kinked]), axis=0)
        each = np.arange(len(rows))
        at_zero = {name: _double(np.stack([side[name].v.hi[rows] for side in zero])[first, each]) for name in zero[0]}
        at_one = {name: _double(np.stack([side[name].v.hi for side in one])[first, each]) for name in zero[0]}
        return Kink(rows + start, at_zero, at_one)

    def _free(self, value: Acceptance, slopes: dict[str, dict[str, Acceptance]]) -> None:
        """Where the value is NaN the gradient is unspecified; where it may overflow, so may the gradient."""
        free = np.isnan(value.hi) if value.other is None else np.isnan(value.hi) & np.isnan(value.other.hi)
        if value.flags is not None:
            free = free | (value.flags & NAN_FLAG > 0)
        for gradients in slopes.values():
            for name, slope in gradients.items():
                flags = slope.flags
                if value.flags is not None and value.flags.any():
                    flags = merge(flags, np.broadcast_to((value.flags > 0) * np.uint8(7), slope.hi.shape))
                other = slope.hi if slope.other is None else slope.other.hi
                unknown = np.asarray(np.isnan(slope.hi) & np.isnan(other) | free)
                gradients[name] = replace(slope, flags=flags, free=unknown if unknown.any() else None)

    def still(self, leaves: Mapping[str, F64], tie: int, limit: bool = False) -> Still:
        known: Known = {}
        undecided: dict[Node, NDArray[np.bool_]] = {}
        for node in self.plan.still:
            if not node.args:
                known[node] = self._leaf(node, leaves)
                continue
            args = [known[arg] for arg in node.args]
            if node.op in ("step", "sign"):
                kinks = Bound(self.dtype).kinks(args[0], args[1] if node.op == "step" else _ZERO)
                undecided[node] = np.asarray(kinks.any(axis=1))
                known[node] = self._node(node, args, override=(kinks, tie if node.op == "step" else 2 * tie - 1))
            else:
                known[node] = self._node(node, args, limit)
        rows = len(next(iter(leaves.values())))
        none = np.zeros(rows, bool)
        kinked = [np.logical_or.reduce([none, *(undecided[node] for node in nodes)]) for nodes in self.plan.kinks]
        return Still(known, kinked, limit)

    def _node(
        self,
        node: Node,
        args: Sequence[Bounded],
        limit: bool = False,
        override: tuple[NDArray[np.bool_], int] | None = None,
    ) -> Bounded:
        bound = Bound(self.dtype)
        v = wide.RULES[node.op](*(arg.v for arg in args))
        if limit and node.op in ("mul", "radial"):
            v = _limit(v, args)
        if override is not None:
            v = v._replace(hi=np.where(override[0], override[1], v.hi))
        e = getattr(bound, node.op)(v, *args)
        return finish(self.dtype, node.op, v, np.broadcast_to(e, v.hi.shape), args)

    def _leaf(self, node: Node, leaves: Mapping[str, F64]) -> Bounded:
        bound = Bound(self.dtype)
        double = self.dtype.p == 53
        if node.op == "input":
            array = leaves[str(node.payload)]
            v = Wide(array, np.zeros_like(array) if double else None)
            return Bounded(v, np.where(array == 0, 0.0, bound.eta(v, np.zeros_like(array))))
        value = node.payload if node.op == "const" else self.params[str(node.payload)]
        assert value is not None
        assert not isinstance(value, str)
        hi = float(value)
        lo = float(value - type(value)(hi)) if node.op == "const" else 0.0
        v = Wide(np.full((1, 1), hi), np.full((1, 1), lo) if double else None)
        # no underflow: a constant too small for the format is kept in the accumulator's
        exact = bound.holds(v) & (lo == 0)
        return Bounded(v, np.where(exact, 0.0, self.dtype.u * abs(hi)))


_ZERO = Bounded(Wide(np.zeros((1, 1))), np.zeros((1, 1)))


def _double(x: F64) -> F64:
    return x.astype(np.float64, copy=False)


def _limit(v: Wide, args: Sequence[Bounded]) -> Wide:
    """0·∞ as the limit 0 instead of NaN."""
    zero = np.logical_or.reduce(np.broadcast_arrays(*(arg.v.hi == 0 for arg in args)))
    nan = np.logical_or.reduce(np.broadcast_arrays(*(np.isnan(arg.v.hi) for arg in args)))
    return v._replace(hi=np.where(np.isnan(v.hi) & zero & ~nan, 0.0, v.hi))


def take(x: Bounded, rows: Rows) -> Bounded:
    return Bounded(Wide(x.v.hi[rows], None if x.v.lo is None else x.v.lo[rows]), x.e[rows])


def _spread(x: Bounded, shape: tuple[int, ...]) -> Bounded:
    low = None if x.v.lo is None else np.broadcast_to(x.v.lo, shape)
    flags = None if x.flags is None else np.broadcast_to(x.flags, shape)
    return Bounded(Wide(np.broadcast_to(x.v.hi, shape), low), np.broadcast_to(x.e, shape), flags)


def _largest(parts: Sequence[Bounded]) -> Bounded:
    """Of several equal evaluations the values of the first, the largest error and every outcome."""
    e, flags = parts[0].e, parts[0].flags
    for other in parts[1:]:
        e, flags = np.maximum(e, other.e), merge(flags, other.flags)
    return Bounded(parts[0].v, e, flags)


def _widen(part: Bounded, rows: Rows, sides: Sequence[Bounded]) -> Bounded:
    """At the undecided rows the error must cover the other side of the kink too."""
    e = part.e.copy()
    e[rows] = np.maximum(e[rows], np.maximum.reduce([side.e for side in sides]))
    return replace(part, e=e)
