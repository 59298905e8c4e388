"""The tolerance: what a case expects in one dtype, derived from the formula and nothing else.

Batches are read in blocks of rows that stay in the cache. The three reductions of the value and the three cotangents
of the gradient (1 for ``sum``, 1/B for ``mean``, given weights for ``none``) come out as :class:`.Acceptance` arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..dtypes import F64, DType
from ..formula.tree import BATCH, Node, topological
from ..readings.double_double import Wide
from ..readings.overflow import Bounded
from ..specification.case import Case, Parameters
from ..specification.loss import Loss
from ..specification.masks import without_masked
from .acceptance import REDUCTIONS, Acceptance, Expected
from .block import Block, joined, read_block, take
from .evaluate import Reading, plan_of
from .kept import LARGEST_INPUTS, block_digest, kept
from .reduced import divisor, reduce, seed
from .transformed import scaled, spoilt

BLOCK = 1 << 15
"""Numbers per array of a block: 256 KiB, so that a handful of arrays stays in the second-level cache."""


def expected(
    loss: Loss, case: Case, dtype: DType, cotangent: F64, wanted: Sequence[str] = REDUCTIONS, scale: float = 1.0
) -> Expected:
    """The acceptance of every value of ``case`` in ``dtype``, and of the gradients of the reductions in ``wanted``.

    ``cotangent`` ``[B]`` weighs the gradient of ``none``; ``scale`` is a declared factor on the loss of each example.
    """
    return expected_of_many(loss, [case], dtype, [cotangent], wanted, scale)[0]


def expected_of_many(
    loss: Loss,
    cases: Sequence[Case],
    dtype: DType,
    cotangents: Sequence[F64],
    wanted: Sequence[str] = REDUCTIONS,
    scale: float = 1.0,
) -> list[Expected]:
    """:func:`expected` of several cases; those with the same parameters and axes beside B are read as one batch.

    Where examples are coupled each case is a batch of its own. Of a case that is known to repeat its rows each is read
    once.
    """
    given = [without_masked(loss.inputs, case) for case in cases]
    cases = [loss.without_uncounted(case) for case in given]
    groups: dict[tuple[object, ...], list[int]] = {}
    distinct = [case.distinct for case in cases]
    for index, case in enumerate(distinct):
        shared = tuple(x.tobytes() for name, x in sorted(case.inputs.items()) if not case.by_example(name))
        alone = index if loss.coupled else None
        beside = tuple(size for axis, size in case.sizes.items() if axis != BATCH)
        groups.setdefault((repr(sorted(case.params.items())), beside, shared, alone), []).append(index)
    found: dict[int, Expected] = {}
    for indices in groups.values():
        weights = [_distinct(cotangents[i], cases[i]) for i in indices]
        counts = [count_of(loss, cases[i].params, cases[i].inputs, cases[i].batch, dtype) for i in indices]
        batch = _read(loss, [distinct[i] for i in indices], dtype, weights, counts, wanted, scale)
        if loss.coupled:
            found |= zip(indices, [_whole(batch, counts[0], dtype)], strict=True)
        else:
            found |= zip(indices, _cut(batch, [cases[i] for i in indices], counts, dtype), strict=True)
    common = frozenset(item.name for item in loss.inputs if item.shared)
    return [
        found[index] if case is given[index] else spoilt(found[index], loss.uncounted(case), common)
        for index, case in enumerate(cases)
    ]


def derivation(loss: Loss, case: Case, dtype: DType) -> list[tuple[Node, Bounded]]:
    """Every operation of the formula as written, with its exact numbers and the error that computed ones may have."""
    reading = Reading(plan_of(loss.gradients(case.params)), loss.params(case.params), dtype)
    case = without_masked(loss.inputs, case)
    with np.errstate(all="ignore"):
        known = reading.unseeded(reading.leaves(case.inputs)).known
    return [(node, known[node]) for node in topological([loss.gradients(case.params).formula.loss])]


def derived(loss: Loss, case: Case, dtype: DType) -> Acceptance:
    """The acceptance of the per-example values ``[B]``."""
    return expected(loss, case, dtype, np.ones(case.batch), ()).values["none"]


def count_of(loss: Loss, params: Parameters, inputs: Mapping[str, F64], batch: int, dtype: DType) -> Bounded:
    """What a mean over the batch divides by; of the ``inputs`` those are enough that it depends on."""
    gradients = loss.gradients(params)
    if gradients.formula.divisor is None:
        return divisor(None, batch, dtype)
    reading = Reading(plan_of(gradients), loss.params(params), dtype)
    with np.errstate(all="ignore"):
        return divisor(reading.divisor(reading.leaves(inputs)), batch, dtype)


def _distinct(cotangent: F64, case: Case) -> F64:
    return cotangent if case.repeats is None else case.repeats.distinct(cotangent)


def _read(
    loss: Loss,
    cases: Sequence[Case],
    dtype: DType,
    cotangents: Sequence[F64],
    counts: Sequence[Bounded],
    wanted: Sequence[str],
    scale: float,
) -> Block:
    """All examples of cases with the same parameters and the same D, as one batch; kept between runs if it is small.

    ``counts`` are what their means divide by, more than their rows where these repeat.
    """
    one = cases[0]
    inputs = {
        name: np.concatenate([case.inputs[name] for case in cases]) if one.by_example(name) else one.inputs[name]
        for name in one.inputs
    }
    shared = frozenset(name for name in inputs if not one.by_example(name))
    gradients, params = loss.gradients(cases[0].params), loss.params(cases[0].params)

    def compute() -> Block:
        reading = Reading(plan_of(gradients), params, dtype)
        seeds = {
            name: _stack([seed(name, *each, dtype, scale) for each in zip(cotangents, counts, strict=True)])
            for name in wanted
        }
        batch = read_batch(reading, loss.gradient_of, inputs, shared, seeds)
        return replace(batch, value=scaled(batch.value, scale, dtype))

    if sum(array.nbytes for array in inputs.values()) > LARGEST_INPUTS:
        return compute()
    sizes = [(float(count.v.hi[0, 0]), float(count.e[0, 0])) for count in counts]
    return kept(block_digest(gradients, params, dtype, inputs, cotangents, sizes, wanted, scale), compute)


def read_batch(
    reading: Reading,
    gradient_of: Sequence[str],
    inputs: Mapping[str, F64],
    shared: frozenset[str],
    seeds: Mapping[str, Bounded],
) -> Block:
    """A batch, read in blocks of rows; ``seeds`` are the cotangents of every reduction whose gradient is wanted.

    ``shared`` inputs have no rows.
    """
    blocks = []
    by_example = {name: array for name, array in inputs.items() if name not in shared}
    whole = [slice(0, len(next(iter(by_example.values()))))]
    for rows in whole if reading.plan.gradients.formula.coupled else _blocks(by_example):
        leaves = reading.leaves({name: x if name in shared else x[rows] for name, x in inputs.items()})
        here = {reduction: take(cotangent, rows) for reduction, cotangent in seeds.items()}
        with np.errstate(all="ignore"):
            blocks.append(read_block(reading, leaves, here, rows.start))
    return joined(blocks, {name: inputs[name].shape for name in gradient_of})


def _whole(batch: Block, count: Bounded, dtype: DType) -> Expected:
    """What a case expects that is a batch of its own."""
    values = {reduction: reduce(batch.value, reduction, dtype, count) for reduction in REDUCTIONS}
    return Expected(values, batch.gradients, batch.kinks)


def _cut(batch: Block, cases: Sequence[Case], counts: Sequence[Bounded], dtype: DType) -> list[Expected]:
    """What each case expects, from the batch of all their examples."""
    result, start = [], 0
    for case, count in zip(cases, counts, strict=True):
        rows = slice(start, start + case.distinct.batch)
        start = rows.stop
        example = batch.value.rows(rows)
        gradients = {
            reduction: {name: slope.rows(rows) for name, slope in slopes.items()}
            for reduction, slopes in batch.gradients.items()
        }
        kinks = {reduction: None if kink is None else kink.within(rows) for reduction, kink in batch.kinks.items()}
        repeats = case.repeats
        if repeats is not None:
            example = example.rows(repeats.rows)
            gradients = {
                reduction: {name: slope.map(repeats.expand) for name, slope in slopes.items()}
                for reduction, slopes in gradients.items()
            }
            kinks = {reduction: kink and kink.repeated(repeats) for reduction, kink in kinks.items()}
        values = {reduction: reduce(example, reduction, dtype, count) for reduction in REDUCTIONS}
        result.append(Expected(values, gradients, kinks))
    return result


def _blocks(inputs: Mapping[str, F64]) -> list[slice]:
    """The batch in slices of about :data:`BLOCK` numbers of the widest input."""
    batch = len(next(iter(inputs.values())))
    width = max(array[0].size if batch else 1 for array in inputs.values())
    size = max(1, BLOCK // max(1, width))
    return [slice(start, min(start + size, batch)) for start in range(0, batch, size)]


def _stack(seeds: Sequence[Bounded]) -> Bounded:
    """The cotangents of several cases, one after the other."""
    if len(seeds) == 1:
        return seeds[0]
    lows = [part.v.lo for part in seeds if part.v.lo is not None]
    v = Wide(np.concatenate([part.v.hi for part in seeds]), np.concatenate(lows) if lows else None)
    return Bounded(v, np.concatenate([part.e for part in seeds]))
