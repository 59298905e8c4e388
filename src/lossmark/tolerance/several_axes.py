"""Sums over several axes, in a tree one after the other: as the terms of one sum they may be added in any order."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..formula.tree import Dims, Node
from ..readings.arithmetic import Arithmetic
from ..readings.bound_sums import Summands
from ..readings.overflow import Bounded


def innermost_sum(node: Node) -> Node:
    """The first of the sums that a node takes one after the other; itself where it is no sum of a sum."""
    while node.op == "sum" and node.args[0].op == "sum":
        node = node.args[0]
    return node


def places_of(node: Node, axes: Dims) -> list[int]:
    """The places of the axes that a node sums along, one after the other, the last first."""
    found = []
    while node.op == "sum":
        found.append(axes.index(str(node.payload)))
        node = node.args[0]
    return found


def summands(arithmetic: Arithmetic, x: Bounded, places: Sequence[int]) -> Summands:
    """What the error of a sum of numbers along axes follows from."""
    first, *rest = places
    errors = np.broadcast_to(arithmetic.entering(x.v, x.e), x.v.hi.shape)
    return functools.reduce(Summands.together, rest, Summands.of(x.v.hi, errors, first, x.v.lo))


def in_any_order(arithmetic: Arithmetic, found: Bounded, terms: Bounded, places: Sequence[int]) -> Bounded:
    """A sum along several axes with the error that adding all ``terms`` in any order may have."""
    e = summands(arithmetic, terms, places).error_of_sum(arithmetic, found.v)
    return replace(found, e=np.where(np.isfinite(found.v.hi), np.maximum(found.e, e), found.e))
