"""The tree of a formula: frozen nodes, shared where the text names a thing twice.

A formula speaks of ONE example of a batch. A node has named axes: ``B``, the batch, where it depends on the example,
and every other axis that it has numbers along, such as ``D``, the embedding dimension. Operands are aligned by the
names of their axes, never by position. Nodes compare by identity; :class:`Builder` returns the same node for the same
operation on the same operands, so every reading computes a shared term once.

The readings (``lossmark.readings``) give each operation its meaning in numbers; here only shapes are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from .operations import AXIAL, EXCHANGING, REDUCING

Payload = str | Fraction | None
Dims = tuple[str, ...]
"""The names of the axes of a node or an input, in the order of memory."""
Sizes = Mapping[str, int]
"""How long each axis is, by its name."""
BATCH, EMBEDDING = "B", "D"


def shape_of(dims: Dims, sizes: Sizes) -> tuple[int, ...]:
    """The shape of an array with these axes."""
    return tuple(sizes[axis] for axis in dims)


PLACE = "place "
"""Begins the name of a leaf that numbers an axis; no name of a spec holds a space."""


def place_of(axis: str) -> str:
    """The name of the leaf that numbers an axis."""
    return PLACE + axis


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One operation (a name in ``OPERATIONS``) on ``args``, or a leaf without operands.

    A leaf has the ``op`` ``input``, ``param``, ``const``, ``seed`` (the cotangent of an example's loss) or ``place``
    (0, 1, 2, … along its axis), and as ``payload`` its name or, for a ``const``, its exact value. That of an operation
    along an axis is the axis.
    """

    op: str
    args: tuple[Node, ...] = ()
    dims: Dims = ()
    payload: Payload = None

    def __repr__(self) -> str:
        if not self.args:
            return str(self.payload)
        return f"{self.op}({', '.join(map(repr, self.args))})"


def spelled_out(node: Node) -> Node:
    """What a formula writes for a ``gap``, x - pick(x, label, A), or a ``depth``, x - detach(max(x, A))."""
    dims = tuple(axis for axis in node.dims if axis != node.payload)
    if node.op == "gap":
        return Node("sub", (node.args[0], Node("pick", node.args, dims, node.payload)), node.dims)
    if node.op == "depth":
        most = Node("largest", (node.args[1],), dims, node.payload)
        return Node("sub", (node.args[0], Node("detach", (most,), dims)), node.dims)
    return node


def some_of(node: Node) -> tuple[Node, Node] | None:
    """The entries and the condition of what a formula writes as lse(x, A, condition); None for any other node."""
    if node.op != "lse" or node.args[0].op != "only":
        return None
    condition, x = node.args[0].args
    return x, condition


class Builder:
    """Makes nodes, each distinct one once; its length is the number of distinct nodes made so far.

    ``axes`` are those of the formula, in the order in which a node that has several has them.
    """

    def __init__(self, axes: Dims = (BATCH, EMBEDDING)) -> None:
        self.axes = axes
        self._known: dict[tuple[object, ...], Node] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __call__(self, op: str, *args: Node, payload: Payload = None, dims: Dims | None = None) -> Node:
        """The node of ``op`` on ``args``; it has every axis of its operands, but for the one that ``op`` reduces.

        The axis that ``op`` works along is ``payload``, or the embedding dimension.
        """
        if op in AXIAL:
            payload = payload or EMBEDDING
        if dims is None:
            found = {axis for arg in args for axis in arg.dims} - ({payload} if op in REDUCING else set())
            if op in EXCHANGING:
                found = {_exchanged(axis, str(payload)) for axis in found}
            dims = tuple(axis for axis in self.axes if axis in found)
        key = (op, payload, dims, *map(id, args))
        return self._known.setdefault(key, Node(op, args, dims, payload))

    def const(self, value: int | Fraction) -> Node:
        """The node of an exact number."""
        return self("const", payload=Fraction(value))

    def place(self, axis: str) -> Node:
        """The number of each entry along an axis."""
        return self("place", payload=place_of(axis), dims=(axis,))


def taken_from_itself(build: Builder, x: Node, y: Node) -> Node | None:
    """x - y as one operation, where y is an entry of x, at a label or the largest; else None.

    Whoever computes x with some error takes it away from itself there, so that the difference is exactly 0.
    """
    picked = y.args[2] if y.op == "where" and y.args[2].op == "pick" else y
    if picked.op == "pick" and picked.args[0] is x:
        return build("gap", x, picked.args[1], payload=picked.payload)
    if y.op == "detach" and y.args[0].op == "largest":
        (some,) = y.args[0].args
        if some is x or (some.op == "only" and some.args[1] is x):
            return build("depth", x, some, payload=y.args[0].payload)
    return None


def _exchanged(axis: str, other: str) -> str:
    return {BATCH: other, other: BATCH}.get(axis, axis)


def topological(roots: Iterable[Node]) -> list[Node]:
    """Every node that ``roots`` need, operands before the operations that use them; no recursion, so any depth."""
    order: dict[Node, None] = {}
    stack: list[tuple[Node, Iterator[Node]]] = []
    for root in roots:
        if root not in order:
            stack.append((root, iter(root.args)))
        while stack:
            node, rest = stack[-1]
            for arg in rest:
                if arg not in order:
                    stack.append((arg, iter(arg.args)))
                    break
            else:
                order[node] = None
                stack.pop()
    return list(order)


@dataclass(frozen=True)
class Input:
    """An argument of a loss, such as an embedding ``[B, D]``, or a score, distance or label ``[B]``.

    ``label`` is ``None`` for what the loss is differentiated by and for other numbers, ``"hard"`` for labels in {0, 1}
    (the formula only compares them), ``"soft"`` for labels in [0, 1] (the formula computes with them), ``"class"`` for
    whole numbers of which only matters which are the same, and ``"index"`` for the number of an entry along the axis
    ``index``; in rows in which it is the value of the parameter ``ignore`` nothing counts. ``optional`` is the number
    that every entry is where the input is left out of a call.

    A ``mask`` is a hard label that is 1 where something counts; ``masks`` names those that say of the entries of this
    input which count: where one of them is 0 an entry reaches neither the loss nor its gradient, whatever it holds.

    ``dims`` are the axes of the array that a call gets, ``axes`` those of its node in the formula: the batch of an
    input in its other role, such as the key of any example beside the query of one, is another axis there.
    """

    name: str
    dims: Dims
    axes: Dims
    label: Literal["hard", "soft", "class", "index"] | None = None
    index: str = ""
    ignore: str = ""
    optional: float | None = None
    mask: bool = False
    masks: tuple[str, ...] = ()

    @property
    def shared(self) -> bool:
        """Whether all examples have the same."""
        return BATCH not in self.dims


@dataclass(frozen=True, eq=False)
class Formula:
    """A loss of one example: its tree, the equal evaluations that its bound covers too, and its arguments.

    ``gradient_of`` names the inputs that the loss is differentiated by; ``named`` are the terms that the spec defines.
    ``axes`` are all axes, in the order in which the arrays of a reading have them; those in ``again`` run over the
    batch a second time. ``divisor`` is what an example adds to the number that a mean divides the sum of the losses
    by: 1 where it is None.
    """

    loss: Node
    associations: tuple[Node, ...]
    inputs: tuple[Input, ...]
    gradient_of: tuple[str, ...]
    named: tuple[tuple[str, Node], ...] = ()
    axes: Dims = (BATCH, EMBEDDING)
    divisor: Node | None = None
    again: frozenset[str] = frozenset()

    @property
    def coupled(self) -> bool:
        """Whether a loss or a gradient depends on several examples: on pairs, or on what is shared and learned."""
        shared = {item.name for item in self.inputs if item.shared}
        return bool(self.again or shared & {*self.gradient_of})

    @property
    def evaluations(self) -> tuple[Node, ...]:
        """The formula as written and its declared associations."""
        return (self.loss, *self.associations)
