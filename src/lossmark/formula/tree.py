"""The tree of a formula: frozen nodes, shared where the text names a thing twice.

A formula speaks of ONE example of a batch. A node is therefore either a scalar of that example (``vector=False``,
an array ``[B]`` over the batch) or a vector over the embedding dimension (``vector=True``, an array ``[B, D]``).
Nodes compare by identity; :class:`Builder` returns the same node for the same operation on the same operands, so
every reading computes a shared term once.

The readings (``lossmark.readings``) give each operation its meaning; this module only knows their shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Payload = str | Fraction | None

ELEMENTWISE = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "neg": 1, "square": 1, "max": 2, "min": 2, "relu": 1,
    "exp": 1, "log": 1, "log1p": 1, "expm1": 1, "sqrt": 1, "abs": 1, "softplus": 1, "sigmoid": 1,
}  # fmt: skip
"""Operations that act on each component, with their number of operands."""

REDUCTIONS = {"sum": 1, "dot": 2, "sqnorm": 1, "norm": 1}
"""Operations that take vectors over D to a scalar."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One operation. ``payload`` is the name of an ``input``/``param``/``seed`` or the value of a ``const``."""

    op: str
    args: tuple[Node, ...] = ()
    vector: bool = False
    payload: Payload = None

    def __repr__(self) -> str:
        if not self.args:
            return str(self.payload)
        return f"{self.op}({', '.join(map(repr, self.args))})"


class Builder:
    """Makes nodes, each distinct one once."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Node] = {}

    def __call__(self, op: str, *args: Node, payload: Payload = None, vector: bool | None = None) -> Node:
        if vector is None:
            vector = op not in REDUCTIONS and any(arg.vector for arg in args)
        key = (op, payload, vector, *map(id, args))
        return self._known.setdefault(key, Node(op, args, vector, payload))

    def const(self, value: int | Fraction) -> Node:
        return self("const", payload=Fraction(value))


def topological(roots: Iterable[Node]) -> list[Node]:
    """Every node that the roots need, operands before the operations that use them. Iterative: depth costs no stack."""
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
    """An argument of a loss: an embedding ``[B, D]``, or a score, distance or label ``[B]``.

    ``label`` is ``None`` for what the loss is differentiated by, ``"hard"`` for labels in {0, 1} (the formula only
    compares them) and ``"soft"`` for labels in [0, 1] (the formula computes with them).
    """

    name: str
    vector: bool
    label: Literal["hard", "soft"] | None = None


@dataclass(frozen=True, eq=False)
class Formula:
    """A loss of one example: its tree, the equal evaluations that its bound covers too, and its arguments."""

    loss: Node
    associations: tuple[Node, ...]
    inputs: tuple[Input, ...]
    gradient_of: tuple[str, ...]
    named: tuple[tuple[str, Node], ...] = ()

    @property
    def evaluations(self) -> tuple[Node, ...]:
        """The formula as written and its declared associations."""
        return (self.loss, *self.associations)
