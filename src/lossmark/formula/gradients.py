"""A formula together with the trees of its gradients: what every reading of a loss is a reading of."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from .tree import Formula, Node, topological


@dataclass(frozen=True, eq=False)
class Gradients:
    """A formula with the gradient trees (name of input → tree) of each group of its evaluations.

    ``textbook`` is the loss in the form that many write, with its gradients, where the spec has one.
    """

    formula: Formula
    trees: tuple[Mapping[str, Node], ...]
    textbook: Gradients | None = None

    @functools.cached_property
    def order(self) -> list[Node]:
        """Every node of the formula as written and of its gradient, operands first."""
        divisor = () if self.formula.divisor is None else (self.formula.divisor,)
        return topological([self.formula.loss, *self.trees[0].values(), *divisor])
