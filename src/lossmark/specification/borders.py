"""Rows at the borders of a format: for each operation of a formula and its gradients, numbers that bring it there.

16-bit formats leave little room between ordinary numbers and their largest and smallest. A search scales inputs by
powers of two and keeps, for each operation and each end of the range, the rows that bring the operation just inside
while nothing else leaves the range, and whose inputs and results are otherwise as near to 1 as can be. Nor does what
implementations take to differentiate a quotient or a norm leave the range of the accumulator.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType, accumulator_of
from ..formula.gradients import Gradients
from ..formula.operations import OPERATIONS
from ..formula.tree import Node
from ..readings.double_double import Wide
from ..readings.layout import placed
from ..readings.wide import RULES
from .case import Param

SCALED_ROWS = 4
"""Rows that are scaled, each in every way."""
INSIDE = 4.0
"""How far a number at a border may be from the end of its room, as a factor."""
SPARE = 16
"""By how many powers of two a reciprocal may yet be multiplied, as by a cotangent of 1/B or by a small cosine."""
DEGREES = (1, 2, 3, 4, 6, 8)
"""With which powers of their inputs operations grow."""


def exponents(dtype: DType) -> list[int]:
    """Powers of two near which an operation of some degree comes to an end of its room."""
    ends = {dtype.emax, -dtype.emin, min(dtype.emax, _reciprocal_room(dtype) * 2 // 3)}
    near = {end // degree - more for end in ends for degree in DEGREES for more in range(6)}
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
    fixed = {item.name for item in gradients.formula.inputs if item.label or item.shared}
    shared = {item.name for item in gradients.formula.inputs if item.shared}
    scaled = [name for name in bases if name not in fixed]
    powers = np.array(list(scalings(len(scaled), dtype)))
    inputs = {name: x if name in shared else np.repeat(x, len(powers), axis=0) for name, x in bases.items()}
    for name, column in zip(scaled, powers.T, strict=True):
        inputs[name] = np.ldexp(inputs[name], np.tile(column, len(inputs[name]) // len(powers)).reshape(-1, 1))
    chosen = _chosen(gradients, params, inputs, scaled, dtype, len(powers))
    spread = chosen[np.linspace(0, len(chosen) - 1, batch).round().astype(int)]
    return {name: array if name in shared else array[spread] for name, array in inputs.items()}


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
    rooms = _rooms(found, gradients, dtype)
    ends = [_ends(inputs[name]) for name in scaled]
    bounded = [*zip(found.values(), rooms.values(), strict=True), *((each, _room(dtype)) for each in ends)]
    inside = [(top <= high) & (bottom >= low) for (top, bottom), (low, high) in bounded]
    ordinary = np.flatnonzero(np.all(inside, axis=0))
    results = [found[root][0] for root in (gradients.formula.loss, *gradients.trees[0].values()) if root in found]
    shown = np.stack([*results, *(top for top, _ in ends)])
    oddity = np.max(np.abs(np.log2(np.where(shown > 0, shown, 1.0))), axis=0)
    chosen: dict[int, None] = {}
    for node, (low, high) in rooms.items():
        top, bottom = found[node]
        for border in (top > high / INSIDE, bottom < INSIDE * low):
            there = ordinary[border[ordinary]]
            for base in np.unique(there // each):
                rows = there[there // each == base]
                chosen[int(rows[np.argmin(oddity[rows])])] = None
    return np.array(sorted(chosen) or [0])


def _room(dtype: DType) -> tuple[float, float]:
    """The least and the largest magnitude that a number may have at a border: a factor of 2 inside the range."""
    return 2 * dtype.smallest_normal, dtype.largest / 2


def _rooms(nodes: Iterable[Node], gradients: Gradients, dtype: DType) -> dict[Node, tuple[float, float]]:
    """The least and the largest magnitude of each operation.

    The slope of x/y is -x/y², of which implementations take y² or 1/y² by itself, in the accumulator, and that of
    1/√y² is -1/√y⁶; likewise with a norm. The formula's own gradient need not.
    """
    divisors = {arg for node in gradients.order if node.op == "div" for arg in node.args[1:]}
    found = {}
    for node in nodes:
        low, high = _room(dtype)
        if node.op == "norm" or node in divisors:
            cubed = 1.5 if node.op == "norm" else 3  # the extent of a norm is that of its square
            end = 2.0 ** (_reciprocal_room(dtype) / cubed)
            low, high = max(low, 1 / end), min(high, end)
        found[node] = low, high
    return found


def _reciprocal_room(dtype: DType) -> int:
    """The power of two within which numbers, and their reciprocals, are in the range of the accumulator."""
    return -accumulator_of(dtype).emin - SPARE


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
            if not args:
                known[node] = _leaf(node, params, inputs)
                continue
            known[node] = placed(RULES[node.op], node, gradients.formula.axes)(*args)
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
