"""The joined reading: the wide reading (values) with the bound reading (errors) over a formula and its gradients.

A :class:`Reading` reads one formula in one dtype under a convention (which side of a kink, what 0·∞ is); ``block``
compares the readings that conform. Arrays have every axis of the formula at its place, the batch first.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType, accumulator_of
from ..formula.gradients import Gradients
from ..formula.operations import OPERATIONS
from ..formula.tree import BATCH, Dims, Node, topological
from ..readings import bound, wide
from ..readings.arithmetic import Arithmetic
from ..readings.bound_derivatives import in_common, undecided
from ..readings.bound_sums import Summands, textbook_loses
from ..readings.convention import IEEE, Convention
from ..readings.double_double import Wide
from ..readings.layout import laid_out, numbered, placed, sizes_of
from ..readings.overflow import Bounded, by_a_lost_norm, finish, overflow
from ..specification.case import Param
from .rows import by_row, reshaped
from .several_axes import in_any_order, innermost_sum, places_of, summands

Rows = NDArray[np.intp]
LEAVES = frozenset({"input", "place"})
"""The leaves that have axes."""
COMPONENTWISE = frozenset({"add", "sub", "mul", "neg", "where", "swap", "fork", "scatter", "whole"})
"""What is computed in the accumulator where an operand is."""


@dataclass(frozen=True)
class Plan:
    """The nodes of all evaluations of a formula and of their gradients, operands first.

    ``seeded`` nodes depend on the cotangent of the loss and are read anew for each; ``unseeded`` are read once.
    ``slopes`` are, for each group of evaluations, the nodes on which a side of a kink is chosen. Nodes ``inside`` are
    computed in the accumulator: probabilities, and what is made of them component by component. ``guards`` are the
    constants that a maximum is taken with.
    """

    gradients: Gradients
    unseeded: Sequence[Node]
    seeded: Sequence[Node]
    slopes: Sequence[frozenset[Node]]
    inside: frozenset[Node]
    guards: frozenset[Node]


@functools.lru_cache(maxsize=256)
def plan_of(gradients: Gradients) -> Plan:
    """The plan of a formula; kept, because every case of a loss has the same."""
    trees = [list(slopes.values()) for slopes in gradients.trees]
    order = topological([*gradients.formula.evaluations, *(tree for slopes in trees for tree in slopes)])
    seeded: dict[Node, None] = {}
    for node in order:
        if node.op == "seed" or any(arg in seeded for arg in node.args):
            seeded[node] = None
    slopes = [frozenset(node for node in topological(roots) if _sides(node)) for roots in trees]
    inside: set[Node] = set()
    for node in order:
        if node.args and (OPERATIONS[node.op].inside or (node.op in COMPONENTWISE and inside & {*node.args})):
            inside.add(node)
    guards = frozenset(arg for node in order if node.op == "max" for arg in node.args if arg.op == "const")
    unseeded = [node for node in order if node not in seeded]
    return Plan(gradients, unseeded, list(seeded), slopes, frozenset(inside), guards)


def _sides(node: Node) -> tuple[int, int] | None:
    """The two slopes of the kink that a node chooses between, if it chooses any."""
    return OPERATIONS[node.op].sides if node.args else None


@dataclass(frozen=True)
class Unseeded:
    """The numbers of the unseeded nodes under one convention.

    ``kinked`` has for each group of evaluations a mask ``[B, M]`` of the places of each example, entries along the axes
    beside the batch, at which the side of a kink is undecided.
    ``underflows`` says whether the textbook loses anything of a norm in some example.
    """

    known: Mapping[Node, Bounded]
    kinked: Sequence[NDArray[np.bool_]]
    underflows: bool
    convention: Convention


@dataclass(frozen=True)
class Reading:
    """The joined reading of one formula with its parameters in one dtype."""

    plan: Plan
    params: Mapping[str, Param]
    dtype: DType

    @property
    def _axes(self) -> Dims:
        return self.plan.gradients.formula.axes

    @functools.cached_property
    def textbook(self) -> Reading | None:
        """The reading of the form that many write, where the spec has one."""
        form = self.plan.gradients.textbook
        return None if form is None else Reading(plan_of(form), self.params, self.dtype)

    def leaves(self, inputs: Mapping[str, F64]) -> dict[str, F64]:
        """Inputs with their own axes, and the numbers of places, as arrays with every axis of the formula.

        Inputs that no tree has are left out: so is the direction of a second derivative that is 0.
        """
        both = [*self.plan.unseeded, *(self.textbook.plan.unseeded if self.textbook else ())]
        nodes = {str(node.payload): node for node in both if node.op in LEAVES}
        known = {name: array for name, array in inputs.items() if name in nodes}
        found = {name: laid_out(array, nodes[name].dims, self._axes) for name, array in known.items()}
        sizes = dict(sizes_of({name: nodes[name].dims for name in known}, known))
        sizes |= {axis: sizes[BATCH] for axis in self.plan.gradients.formula.again if BATCH in sizes}
        places = {name: numbered(node.dims, sizes, self._axes) for name, node in nodes.items() if node.op == "place"}
        return found | places

    def unseeded(
        self, leaves: Mapping[str, F64], convention: Convention = IEEE, upper: NDArray[np.bool_] | None = None
    ) -> Unseeded:
        """What does not depend on the cotangent, from the ``leaves`` that :meth:`leaves` makes.

        ``upper`` ``[B, M]`` marks the places at which the upper side of a kink is read; without it the convention says.
        """
        known: dict[Node, Bounded] = {}
        kinked: dict[Node, NDArray[np.bool_]] = {}
        underflows = False
        for node in self.plan.unseeded:
            args = self._operands(node, known)
            if not args:
                known[node] = self._leaf(node, leaves)
            elif _sides(node):
                known[node], kinked[node] = self._slope(node, args, convention, upper)
            else:
                known[node] = self._operation(node, args, convention)
                if node.op == "norm" and not underflows:
                    underflows = textbook_loses(Arithmetic(self.dtype), args[0], known[node])
        batch = max(map(len, leaves.values()))
        masks = [in_common([kinked[node] for node in nodes], batch) for nodes in self.plan.slopes]
        return Unseeded(known, masks, underflows, convention)

    def divisor(self, leaves: Mapping[str, F64]) -> Bounded:
        """What each example ``[B, 1]`` adds to the number that a written mean divides by."""
        root = self.plan.gradients.formula.divisor
        assert root is not None
        known: dict[Node, Bounded] = {}
        for node in topological([root]):
            args = [known[arg] for arg in node.args]
            known[node] = self._operation(node, args, IEEE) if args else self._leaf(node, leaves)
        return by_row(known[root])

    def values(self, unseeded: Unseeded) -> list[Bounded]:
        """The loss of each example ``[B, 1]``, or ``[1, 1]`` if it depends on no input, by each evaluation."""
        return [by_row(unseeded.known[root]) for root in self.plan.gradients.formula.evaluations]

    def terms(self, unseeded: Unseeded) -> Summands | None:
        """What the loss of each example ``[B, 1]`` is the sum of, where every evaluation is a sum along an axis."""
        roots = self.plan.gradients.formula.evaluations
        if any(root.op != "sum" for root in roots):
            return None
        parts = []
        for root in roots:
            x = self._operands(root, unseeded.known)[0]
            parts.append(summands(Arithmetic(self.dtype), x, [self._axes.index(str(root.payload))]))
        return functools.reduce(Summands.either, parts).map(
            lambda array: np.asarray(array.reshape(len(array), 1), np.float64)
        )

    def gradients(self, unseeded: Unseeded, seed: Bounded) -> list[Mapping[str, Bounded]]:
        """The gradient by each input under the cotangents ``seed`` ``[B, 1]``, for each group of evaluations."""
        known = dict(unseeded.known)
        seed = reshaped(seed, (len(seed.v.hi), *(1,) * (len(self._axes) - 1)))
        for node in self.plan.seeded:
            args = self._operands(node, known)
            known[node] = self._operation(node, args, unseeded.convention) if args else seed
            summed = innermost_sum(node)
            if summed is not node:
                terms, places = self._operands(summed, known)[0], places_of(node, self._axes)
                known[node] = in_any_order(Arithmetic(self._format(node)), known[node], terms, places)
        return [
            {name: self._rounded(tree, known[tree]) for name, tree in trees.items()}
            for trees in self.plan.gradients.trees
        ]

    def _operands(self, node: Node, known: Mapping[Node, Bounded]) -> list[Bounded]:
        """The operands of a node: outside of the accumulator rounded to the format, inside to a coarser accumulator."""
        taken = self._entered if node in self.plan.inside else self._rounded
        return [taken(arg, known[arg]) for arg in node.args]

    def _entered(self, node: Node, x: Bounded) -> Bounded:
        """A number as the accumulator takes it, if it was computed in the format."""
        return x if node in self.plan.inside else replace(x, e=Arithmetic(self.dtype).entering(x.v, x.e))

    def _rounded(self, node: Node, x: Bounded) -> Bounded:
        """A number as it leaves the accumulator, rounded also to its own format: a cotangent may be the last factor."""
        if node not in self.plan.inside:
            return x
        e = Arithmetic(self.dtype).round(x.v, x.e)
        return Bounded(x.v, e, x.also | overflow(self.dtype, x.v, e))

    def _format(self, node: Node) -> DType:
        """The format that a node is computed in."""
        return accumulator_of(self.dtype) if node in self.plan.inside else self.dtype

    def _operation(self, node: Node, args: Sequence[Bounded], convention: Convention) -> Bounded:
        v = placed(wide.RULES[node.op], node, self._axes)(*(arg.v for arg in args))
        operation = OPERATIONS[node.op]
        # the factors inside a dot are left to IEEE arithmetic: it is one operation
        if convention.limit and operation.multiplies and not operation.reduces:
            v = _limit(v, args)
        elif operation.shifts:
            v = self._shifted(node, v, args, convention)
        return self._with_error(node, v, args, convention)

    def _shifted(self, node: Node, v: Wide, args: Sequence[Bounded], convention: Convention) -> Wide:
        """The numbers ``v`` of what shifts them by themselves, where these are infinite as the convention has it."""
        if not OPERATIONS[node.op].linear:
            return v if convention.limit else v._replace(hi=np.where(v.hi == np.inf, np.nan, v.hi))
        if not convention.limit:
            return v
        x, label = args
        if node.op == "depth":
            return wide.depth_in_the_limit(v, x.v, self._axes.index(str(node.payload)))
        sizes = dict(zip(self._axes, x.v.hi.shape, strict=True))
        own = numbered((str(node.payload),), sizes, self._axes) == label.v.hi
        return v._replace(hi=np.where(own & np.isinf(x.v.hi), 0.0, v.hi))

    def _slope(
        self, node: Node, args: Sequence[Bounded], convention: Convention, upper: NDArray[np.bool_] | None
    ) -> tuple[Bounded, NDArray[np.bool_]]:
        """A node that chooses a side of a kink, and the places ``[B, M]`` at which that is chosen for it."""
        sides = _sides(node)
        assert sides is not None
        kinks = undecided(*args)
        places = kinks.reshape(len(kinks), -1)
        tie = np.asarray(bool(convention.tie))
        if upper is not None and len(upper) == len(kinks):
            tie = upper[:, : places.shape[1]].reshape(kinks.shape)
        v = placed(wide.RULES[node.op], node, self._axes)(*(arg.v for arg in args))
        v = v._replace(hi=np.where(kinks, np.where(tie, sides[1], sides[0]), v.hi))
        return self._with_error(node, v, args, convention), places

    def _with_error(self, node: Node, v: Wide, args: Sequence[Bounded], convention: Convention) -> Bounded:
        rule = placed(bound.RULES[node.op], node, self._axes)
        e = rule(Arithmetic(self._format(node), convention.textbook), v, *args)
        found = finish(self._format(node), node, self._axes, v, np.broadcast_to(e, v.hi.shape), args)
        if convention.textbook and node.op in ("unit", "radial"):
            return replace(found, also=found.also | by_a_lost_norm(node.op, args))
        return found

    def _leaf(self, node: Node, leaves: Mapping[str, F64]) -> Bounded:
        return self._input(leaves[str(node.payload)]) if node.op in LEAVES else self.constant(node)

    def _input(self, array: F64) -> Bounded:
        """An input: exact, but that a subnormal number may be flushed to zero when it is read."""
        v = Wide(array, np.zeros_like(array) if self.dtype.p == 53 else None)
        return Bounded(v, np.where(array == 0, 0.0, Arithmetic(self.dtype).eta(v, np.zeros_like(array))))

    def constant(self, node: Node) -> Bounded:
        """A parameter or a constant of the formula: off by one rounding where the format does not hold it.

        A guard c by 3.5: of x/√max(y², c²) the c² is off by three, of which the root leaves half, and there is the root
        itself and a reciprocal. No underflow is counted: a constant too small for the format is kept in the
        accumulator's.
        """
        value = node.payload if isinstance(node.payload, Fraction) else self.params[str(node.payload)]
        assert not isinstance(value, str)
        hi = float(value)
        lo = float(value - Fraction(hi)) if isinstance(value, Fraction) else 0.0
        shape = (1,) * len(self._axes)
        v = Wide(np.full(shape, hi), np.full(shape, lo) if self.dtype.p == 53 else None)
        exact = Arithmetic(self.dtype).holds(v) & (lo == 0)
        return Bounded(v, np.where(exact, 0.0, (3.5 if node in self.plan.guards else 1.0) * self.dtype.u * abs(hi)))


def _limit(v: Wide, args: Sequence[Bounded]) -> Wide:
    """The products ``v`` with 0·∞ as the limit 0 instead of NaN."""
    zero = np.logical_or.reduce(np.broadcast_arrays(*(arg.v.hi == 0 for arg in args)))
    nan = np.logical_or.reduce(np.broadcast_arrays(*(np.isnan(arg.v.hi) for arg in args)))
    return v._replace(hi=np.where(np.isnan(v.hi) & zero & ~nan, 0.0, v.hi))
