"""Whether columns of zeros change a loss: what tells where small cases may be brought to a wider shape."""

from __future__ import annotations

from collections.abc import Mapping

from .operations import OPERATIONS
from .tree import BATCH, EMBEDDING, Formula, Node, topological

_ALL = frozenset(
    {"add", "sub", "neg", "square", "max", "min", "relu", "sqrt", "abs", "log1p", "expm1", "tanh", "logcosh", "detach"}
)
"""Operations that are 0 where all of their operands are."""
_ANY = frozenset({"mul", "dot"})
"""Operations that are 0 where one of their operands is, if no other is infinite."""
_SUMMING = frozenset({"sum", "dot", "sqnorm", "norm"})
"""Reductions to which zeros add nothing."""


def add_nothing(formula: Formula) -> bool:
    """Whether zeros behind every vector over D leave the loss as it is, by each of its evaluations.

    A class more is another loss: where there is an axis beside B and D the answer is no.
    """
    if not {*formula.axes} <= {BATCH, EMBEDDING}:
        return False
    zero: dict[Node, bool] = {}
    for node in topological(formula.evaluations):
        along = OPERATIONS[node.op].along and node.payload == EMBEDDING if node.args else False
        if along and not (node.op in _SUMMING and _vanishes(node, zero)):
            return False
        zero[node] = EMBEDDING in node.dims and (not node.args or _vanishes(node, zero))
    return True


def _vanishes(node: Node, zero: Mapping[Node, bool]) -> bool:
    """Whether the numbers of a node, or those that it sums, are 0 in a column of zeros."""
    found = [zero[arg] for arg in node.args]
    if node.op in _ANY:
        return any(found)
    if node.op == "div":
        return found[0] and not found[1]
    if node.op == "xlogy":
        return found[0]
    if node.op == "where":
        return all(found[1:])
    return (node.op in _ALL or node.op in _SUMMING) and all(found)
