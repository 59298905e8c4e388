"""The tolerance of a batch that is read in parts of its rows, so that nothing as large as the batch is made beside it.

Of rows that are not read in full their losses alone can be had, in float64 and without bounds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..dtypes import F64, DType
from ..formula.gradients import Gradients
from ..formula.tree import Node
from ..readings import wide
from ..readings.double_double import Wide
from ..readings.layout import placed
from ..readings.overflow import Bounded
from ..specification.case import Case, Parameters
from ..specification.loss import Loss
from ..specification.masks import without_masked
from .acceptance import Acceptance, Expected
from .evaluate import LEAVES, Reading, plan_of
from .expected import read_batch
from .reduced import seed
from .rows import by_row
from .transformed import spoilt


@dataclass(frozen=True)
class PartTruth:
    """What the rows of a part accept: the loss of each example ``[b, 1]``, and the gradients under one reduction."""

    example: Acceptance
    truth: Expected


@dataclass(frozen=True)
class InParts:
    """How the parts of one batch are read: with the gradients of ``reduction`` by the inputs ``wrt``.

    ``count`` is what a mean of the whole batch divides by, ``scale`` what a reduced loss is multiplied by before it is
    differentiated. With ``textbook`` the form that many write is read too.
    """

    loss: Loss
    params: Parameters
    dtype: DType
    count: Bounded
    reduction: str
    wrt: tuple[str, ...]
    scale: float = 1.0
    textbook: bool = False

    def read(self, case: Case, weights: F64) -> PartTruth:
        """A part of the batch, whose examples have the cotangents ``weights`` ``[b]`` under ``none``."""
        case = without_masked(self.loss.inputs, case)
        counted = self.loss.without_uncounted(case)
        shared = frozenset(name for name in case.inputs if not case.by_example(name))
        cotangent = seed(self.reduction, weights, self.count, self.dtype, self.scale)
        seeds = {self.reduction: cotangent} if self.wrt else {}
        block = read_batch(self._reading, self.wrt, counted.inputs, shared, seeds)
        truth = Expected({}, block.gradients, block.kinks)
        return PartTruth(
            block.value, truth if counted is case else spoilt(truth, self.loss.uncounted(case), shared & {*self.wrt})
        )

    def losses(self, case: Case) -> F64:
        """The losses ``[b]`` of the examples, in float64: sides that the parameters leave out are not computed."""
        counted = self.loss.without_uncounted(without_masked(self.loss.inputs, case))
        leaves = self._reading.leaves(counted.inputs)
        found: dict[Node, Wide] = {}

        def numbers(node: Node) -> Wide:
            if node not in found:
                found[node] = self._plainly(node, leaves, numbers)
            return found[node]

        with np.errstate(all="ignore"):
            result = by_row(Bounded(numbers(self._gradients.formula.loss), np.zeros((1, 1)))).v.hi
        return np.broadcast_to(result, (case.batch, 1)).reshape(-1)

    def _plainly(self, node: Node, leaves: Mapping[str, F64], numbers: Callable[[Node], Wide]) -> Wide:
        """The numbers of a node, from those of its operands that ``numbers`` gives."""
        if node.op in LEAVES:
            return Wide(leaves[str(node.payload)])
        if not node.args:
            return Wide(self._reading.constant(node).v.hi)
        if node.op == "where":
            condition = numbers(node.args[0])
            if condition.hi.size == 1 and np.isfinite(condition.hi).all():
                return numbers(node.args[1 if condition.hi.item() == 1 else 2])
        rule = placed(wide.RULES[node.op], node, self._gradients.formula.axes)
        return rule(*(numbers(arg) for arg in node.args))

    @functools.cached_property
    def _gradients(self) -> Gradients:
        return _by(self.loss.gradients(self.params), self.wrt, self.textbook)

    @functools.cached_property
    def _reading(self) -> Reading:
        return Reading(plan_of(self._gradients), self.loss.params(self.params), self.dtype)


@functools.lru_cache(maxsize=256)
def _by(known: Gradients, wrt: tuple[str, ...], textbook: bool) -> Gradients:
    """A formula with its gradients by some of the inputs alone; kept, because the plan of a formula is kept by it."""
    trees = tuple({name: slopes[name] for name in wrt} for slopes in known.trees)
    form = known.textbook if textbook else None
    return Gradients(known.formula, trees, None if form is None else _by(form, wrt, True))
