"""What a mask leaves out of a formula: whether entries of an input where the mask is 0 can reach the loss at all.

An entry keeps its place along the axes of the mask until an operation along one of these mixes it with others. Before
that a ``where`` or an ``only`` whose condition is false where the mask is 0 takes it away, for the value and for the
gradient alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from .operations import AXIAL, EXCHANGING
from .tree import BATCH, Node, topological


def leaves_out(mask: Node, entry: Node, trees: Sequence[Node]) -> bool:
    """Whether no tree depends on entries of the input ``entry`` where the input ``mask`` is 0."""
    there = {entry}
    for node in topological(trees):
        kept = [arg for place, arg in enumerate(node.args) if arg in there and not _taken_away(node, place, mask)]
        if not kept:
            continue
        if _mixes(node, mask, kept):
            return False
        there.add(node)
    return not there & {*trees}


def _mixes(node: Node, mask: Node, kept: Sequence[Node]) -> bool:
    """Whether an operation takes entries from their places along the axes of the mask."""
    if node.op not in AXIAL:
        return False
    axes = {str(node.payload)} | ({BATCH} if node.op in EXCHANGING else set())
    return bool(axes & {*mask.dims}) and not (node.op == "depth" and kept == [node.args[0]])


def _taken_away(node: Node, place: int, mask: Node) -> bool:
    """Whether an operation does not look at an operand where the mask is 0."""
    if node.op == "only":
        return place == 1 and _decided(node.args[0], mask) is False
    if node.op == "where":
        return place > 0 and _decided(node.args[0], mask) is (place == 2)
    return False


def _decided(condition: Node, mask: Node) -> bool | None:
    """Whether a condition is true or false where the mask is 0; None where that alone does not say."""
    if condition.op == "equal" and condition.args[0] is mask and isinstance(condition.args[1].payload, Fraction):
        return condition.args[1].payload == 0
    found = [_decided(arg, mask) for arg in condition.args]
    if condition.op == "not":
        return None if found[0] is None else not found[0]
    if condition.op == "both":
        return False if False in found else True if found == [True, True] else None
    return None
