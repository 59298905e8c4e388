"""Rows at the borders of a format: for each operation of a formula and its gradients, numbers that bring it there.

16-bit formats leave little room between ordinary numbers and their largest and smallest. A search scales inputs by
powers of two and keeps, for each operation and each end of the range, the rows that bring the operation just inside
while nothing else leaves the range, and whose inputs and results are otherwise as near to 1 as can be.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType
from ..formula.gradients import Gradients
from ..formula.operations import OPERATIONS
from ..formula.tree import Node
from ..readings.double_double import Wide
from ..readings.wide import RULES
from .case import Param

SCALED_ROWS = 4
"""Rows that are scaled, each in every way."""
INSIDE = 8.0
"""How far a number at a border may be from the end of the range, as a factor; nothing comes nearer than a factor 2."""
DEGREES = (1, 2, 3, 4, 6, 8)
"""With which powers of their inputs operations grow."""


def exponents(dtype: DType) -> list[int]:
    """Powers of two near which an operation of some degree comes to the largest or the smallest normal number."""
    near = {end // degree - more for end in (dtype.emax, -dtype.emin) for degree in DEGREES for more in range(6)}
    return sorted({k for k in near if k > 0} | {-k for k in near if k > 0})


def scalings(count: int, dtype: DType) -> Iterator[tuple[int, ...]]:
    """For each of ``count`` inputs the power of two that it is multiplied by: up, down or not at all, all alike."""
    yield (0,) * count
    for pattern in itertools.product((0, 1, -1), repeat=count):
        if next((sign for sign in pattern if sign), 0) > 0:
            yield from (tuple(sign * k for sign in pattern) for k in exponents(dtype))


def at_borders(
    gradients: Gradients, params: Mapping[str, Param], bases: Mapping[str, F64], dtype: DType, batch: int
) -> dict[str, F64]:
    """``batch`` rows ``[B, D]`` or ``[B, 1]`` of every input, which are those of ``bases`` scaled."""
    labels = {item.name for item in gradients.formula.inputs if item.label}
    scaled = [name for name in bases if name not in labels]
    powers = np.array(list(scalings(len(scaled), dtype)))
    inputs = {name: np.repeat(array, len(powers), axis=0) for name, array in bases.items()}
    for name, column in zip(scaled, powers.T, strict=True):
        inputs[name] = np.ldexp(inputs[name], np.tile(column, len(inputs[name]) // len(powers)).reshape(-1, 1))
    chosen = _chosen(gradients, params, inputs, scaled, dtype, len(powers))
    spread = chosen[np.linspace(0, len(chosen) - 1, batch).round().astype(int)]
    return {name: array[spread] for name, array in inputs.items()}


def _chosen(
    gradients: Gradients,
    params: Mapping[str, Param],
    inputs: Mapping[str, F64],
    scaled: Sequence[str],
    dtype: DType,
    each: int,
) -> NDArray[np.intp]:
    """The rows at some border, of those in which nothing leaves the range; ``each`` rows in turn are of one base."""
    found = dict(_extents(gradients, params, inputs))
    ends = [_ends(inputs[name]) for name in scaled]
    most, least = (np.stack(part) for part in zip(*found.values(), *ends, strict=True))
    ordinary = np.flatnonzero(
        (most.max(axis=0) <= dtype.largest / 2) & (least.min(axis=0) >= 2 * dtype.smallest_normal)
    )
    results = [found[root][0] for root in (gradients.formula.loss, *gradients.trees[0].values()) if root in found]
    shown = np.stack([*results, *(top for top, _ in ends)])
    oddity = np.max(np.abs(np.log2(np.where(shown > 0, shown, 1.0))), axis=0)
    chosen: dict[int, None] = {}
    for top, bottom in found.values():
        for border in (top > dtype.largest / INSIDE, bottom < INSIDE * dtype.smallest_normal):
            there = ordinary[border[ordinary]]
            for base in np.unique(there // each):
                rows = there[there // each == base]
                chosen[int(rows[np.argmin(oddity[rows])])] = None
    return np.array(sorted(chosen) or [0])


def _extents(
    gradients: Gradients, params: Mapping[str, Param], inputs: Mapping[str, F64]
) -> Iterator[tuple[Node, tuple[F64, F64]]]:
    """Each operation with its largest and its smallest magnitude in each row.

    Products inside a sum are among them, and the sum of squares whose root most take for a norm.
    """
    known: dict[Node, Wide] = {}
    batch = len(next(iter(inputs.values())))
    with np.errstate(all="ignore"):
        for node in gradients.order:
            args = [known[arg] for arg in node.args]
            known[node] = RULES[node.op](*args) if args else _leaf(node, params, inputs)
            if not args:
                continue
            parts = [known[node].hi]
            operation = OPERATIONS[node.op]
            if operation.multiplies or operation.sums_products or node.op in ("norm", "square"):
                x, y = args[0].hi, args[-1].hi
                parts.append(np.where((x * y == 0) & (x != 0) & (y != 0), np.nextafter(0, 1), x * y))
            if node.op == "norm":
                parts.append(parts[0] * parts[0])
            yield node, _ends(np.concatenate([np.broadcast_to(x, (batch, x.shape[1])) for x in parts], axis=1))


def _leaf(node: Node, params: Mapping[str, Param], inputs: Mapping[str, F64]) -> Wide:
    if node.op == "input":
        return Wide(inputs[str(node.payload)])
    value = node.payload if isinstance(node.payload, Fraction) else params.get(str(node.payload), 1.0)
    return Wide(np.full((1, 1), float(value)))


def _ends(x: F64) -> tuple[F64, F64]:
    """The largest magnitude of each row, and the smallest that is not 0; ∞ for a NaN."""
    size = np.where(np.isnan(x), np.inf, np.abs(x))
    return size.max(axis=1), np.min(size, axis=1, where=size > 0, initial=np.inf)
