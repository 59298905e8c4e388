"""The tolerance: what a case expects in one dtype, derived from the formula and nothing else.

Has the joined reading go over batches of examples in blocks of rows that stay in the cache. The three reductions of
the value and the three cotangents of the gradient (1 for ``sum``, 1/B for ``mean``, given weights for ``none``) come
out as :class:`Acceptance` arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..dtypes import F64, DType
from ..formula.tree import Node, topological
from ..readings import wide
from ..readings.overflow import Bounded
from ..readings.wide import Wide
from ..specification.case import Case
from ..specification.loss import Loss
from .acceptance import (
    REDUCTIONS,
    Acceptance,
    Expected,
    join,
    join_kinks,
    kinks_of,
    part,
    reduce,
    reshape,
    rounded_factor,
    scaled,
)
from .evaluate import Reading, plan_of, take

BLOCK = 1 << 15
"""Numbers per array of a block: 256 KiB, so that a handful of arrays stays in the second-level cache."""


def expected(
    loss: Loss, case: Case, dtype: DType, cotangent: F64, slopes: Sequence[str] = REDUCTIONS, scale: float = 1.0
) -> Expected:
    """The acceptance of every value of ``case`` in ``dtype``, and of the gradients of the reductions in ``slopes``.

    ``cotangent`` ``[B]`` weighs the gradient of ``none``; ``scale`` is a declared factor on the loss of each example.
    """
    return expected_of_many(loss, [case], dtype, [cotangent], slopes, scale)[0]


def expected_of_many(
    loss: Loss,
    cases: Sequence[Case],
    dtype: DType,
    cotangents: Sequence[F64],
    wanted: Sequence[str] = REDUCTIONS,
    scale: float = 1.0,
) -> list[Expected]:
    """:func:`expected` of several cases; those with the same parameters and the same D are read as one batch."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, case in enumerate(cases):
        groups.setdefault((repr(sorted(case.params.items())), case.shape[1:]), []).append(index)
    found: dict[int, Expected] = {}
    for indices in groups.values():
        batch = _batch(loss, [cases[i] for i in indices], dtype, [cotangents[i] for i in indices], wanted, scale)
        found |= zip(indices, batch, strict=True)
    return [found[index] for index in range(len(cases))]


def _batch(
    loss: Loss, cases: Sequence[Case], dtype: DType, cotangents: Sequence[F64], wanted: Sequence[str], scale: float
) -> list[Expected]:
    params = loss.params(cases[0].params)
    reading = Reading(plan_of(loss.gradients(cases[0].params)), params, dtype)
    inputs = {name: np.concatenate([case.inputs[name] for case in cases]) for name in cases[0].inputs}
    given = list(zip(cases, cotangents, strict=True))
    seeds = {
        reduction: _stack([_seed(reduction, weights, case.batch, dtype, scale) for case, weights in given])
        for reduction in wanted
    }
    shapes = {name: inputs[name].shape for name in loss.gradient_of}
    pieces = []
    for rows in _blocks(inputs):
        leaves = {name: array[rows].reshape(rows.stop - rows.start, -1) for name, array in inputs.items()}
        here = {name: take(seed, np.arange(rows.start, rows.stop)) for name, seed in seeds.items()}
        with np.errstate(all="ignore"):
            pieces.append(reading.block(leaves, here, rows.start))
    example = scaled(join([piece.value for piece in pieces]), scale, dtype)
    slopes = {
        reduction: {
            name: reshape(join([piece.gradients[reduction][name] for piece in pieces]), shape)
            for name, shape in shapes.items()
        }
        for reduction in wanted
    }
    kinks = {reduction: join_kinks([piece.kinks[reduction] for piece in pieces], shapes) for reduction in wanted}
    result, start = [], 0
    for case in cases:
        rows = slice(start, start + case.batch)
        start = rows.stop
        values = {reduction: reduce(part(example, rows), reduction, dtype) for reduction in REDUCTIONS}
        gradients = {r: {name: part(x, rows) for name, x in slopes[r].items()} for r in wanted}
        result.append(Expected(values, gradients, {r: kinks_of(kinks[r], rows) for r in wanted}))
    return result


def derivation(loss: Loss, case: Case, dtype: DType) -> list[tuple[Node, Bounded]]:
    """Every operation of the formula as written, with its exact numbers and the error that computed ones may have."""
    reading = Reading(plan_of(loss.gradients(case.params)), loss.params(case.params), dtype)
    leaves = {name: array.reshape(case.batch, -1) for name, array in case.inputs.items()}
    with np.errstate(all="ignore"):
        known = reading.still(leaves, 0).known
    return [(node, known[node]) for node in topological([loss.gradients(case.params).formula.loss])]


def derived(loss: Loss, case: Case, dtype: DType) -> Acceptance:
    """The acceptance of the per-example values."""
    return expected(loss, case, dtype, np.ones(case.batch), ()).values["none"]


def _blocks(inputs: Mapping[str, F64]) -> list[slice]:
    batch = len(next(iter(inputs.values())))
    width = max(array[0].size if batch else 1 for array in inputs.values())
    size = max(1, BLOCK // max(1, width))
    return [slice(start, min(start + size, batch)) for start in range(0, batch, size)]


def _stack(seeds: Sequence[Bounded]) -> Bounded:
    if len(seeds) == 1:
        return seeds[0]
    lows = [seed.v.lo for seed in seeds if seed.v.lo is not None]
    v = Wide(np.concatenate([seed.v.hi for seed in seeds]), np.concatenate(lows) if lows else None)
    return Bounded(v, np.concatenate([seed.e for seed in seeds]))


def _seed(reduction: str, cotangent: F64, batch: int, dtype: DType, scale: float) -> Bounded:
    """The cotangent of every example's loss, with the error of a computed 1/B and of a factor."""
    weights = cotangent if reduction == "none" else np.full(batch, 1.0 if reduction == "sum" else 1.0 / batch)
    v = Wide(weights.reshape(-1, 1))
    if dtype.p == 53:
        zeros = np.zeros_like(v.hi)
        one, count = Wide(np.ones_like(v.hi), zeros), Wide(np.full_like(v.hi, batch), zeros)
        v = wide.div(one, count) if reduction == "mean" else Wide(v.hi, zeros)
    exact = reduction != "mean" or batch & (batch - 1) == 0
    e = np.zeros_like(v.hi) if exact else dtype.u * np.abs(v.hi)
    if scale == 1:
        return Bounded(v, e)
    v = wide.mul(v, Wide(np.full((1, 1), scale), None if v.lo is None else np.zeros((1, 1))))
    return Bounded(v, e * abs(scale) + rounded_factor(scale, dtype) * np.abs(v.hi))
