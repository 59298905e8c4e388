"""One call of a loss, read as the suite reads its cases: in which format, in which parts, and what each accepts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dtypes import DTYPES, F64, DType, accumulating
from ..specification.case import Case
from ..tolerance.acceptance import REDUCTIONS, Acceptance, concatenated
from ..tolerance.expected import count_of
from ..tolerance.in_parts import InParts, PartTruth
from ..tolerance.reduced import reduce
from .given import Given, check_choice
from .tensors import array_of

RowNumbers = NDArray[np.intp]
NUMBERS_AT_A_TIME = 1 << 22
"""How many numbers of the widest input are read at a time: 32 MiB in float64, of which a reading holds about ten."""
LOSSES_AT_A_TIME = 1 << 18
"""How many are at a time where losses alone are computed: 2 MiB, which stay in the cache."""
IGNORED_SHARE = 8
"""Of rows that are chosen one in so many, at most, is one that does not count: its gradient is 0."""
SIGMAS = 6
"""How many standard errors are granted to the mean bound of rows, estimated from those that are read."""
UNITS = 4
"""How many units of its largest number are granted to a row beside that."""


@dataclass(frozen=True)
class Trial:
    """A call with its reduction. ``cotangent`` weighs the examples ``[B]`` under ``none``, else it is one number.

    ``rows`` are those that are judged, all where it is None.
    """

    given: Given
    reduction: str
    cotangent: F64
    accumulate: str | None
    rows: RowNumbers | None

    def format(self, result: str) -> DType:
        """The format that a result of the dtype ``result`` is judged in: its own.

        Where a coarser accumulator is declared, what a loss keeps between is in the format of its inputs, whatever it
        returns. Raises ValueError for a label that the format does not hold.
        """
        found = DTYPES[result]
        if self.accumulate is not None:
            coarser = DTYPES[self.accumulate].p < found.p
            found = accumulating(self.given.dtype if coarser else found, self.accumulate)
        self.given.check_held(DTYPES[result])
        return found

    def reading(self, dtype: DType, wrt: Sequence[str], *, textbook: bool = False) -> InParts:
        """How the batch is read in a format, with the gradients by the inputs ``wrt``."""
        given = self.given
        scale = 1.0 if self.reduction == "none" else float(self.cotangent)
        count = count_of(given.loss, given.params, given.labels(), given.batch, dtype)
        return InParts(given.loss, given.params, dtype, count, self.reduction, (*wrt,), scale, textbook)

    def parts(self, how: InParts) -> Iterator[tuple[RowNumbers, Case, PartTruth]]:
        """The rows that are judged, part by part: their numbers, their inputs and what they accept."""
        weights = self.cotangent if self.reduction == "none" else np.ones(self.given.batch)
        for rows in self._split(np.arange(self.given.batch) if self.rows is None else self.rows, NUMBERS_AT_A_TIME):
            case = self.given.part(rows)
            yield rows, case, how.read(case, weights[rows])

    def _split(self, rows: RowNumbers, numbers: int) -> Iterator[RowNumbers]:
        """Rows in parts of so many elements; where examples share what is learned, or are paired, all at once."""
        given = self.given
        width = max(1, given.size // given.batch)
        step = len(rows) if given.loss.coupled else max(1, numbers // width)
        yield from (rows[start : start + step] for start in range(0, len(rows), step))

    def value(self, how: InParts, examples: Sequence[Acceptance]) -> Acceptance | None:
        """What the value accepts, from the ``examples`` that are read; None where that cannot be told.

        Where not all rows are read the value of a sum is that of all in float64, and its bound what the rows read have,
        on average, with :data:`SIGMAS` standard errors of that; it is None where a loss is not finite.
        """
        example = concatenated(examples)
        if self.reduction != "none" and self.rows is not None:
            example = self._all(how, example)
            if not np.isfinite(example.exact).all():
                return None
        return reduce(example, self.reduction, how.dtype, how.count)

    def _all(self, how: InParts, read: Acceptance) -> Acceptance:
        """The losses of all examples, of which some were ``read``."""
        assert self.rows is not None
        losses, sizes = np.empty(self.given.batch), np.empty(self.given.batch)
        rest = np.setdiff1d(np.arange(self.given.batch), self.rows)
        for rows in self._split(rest, LOSSES_AT_A_TIME):
            case = self.given.part(rows)
            losses[rows], sizes[rows] = how.losses(case), _largest(case, how.loss.gradient_of)
        bound = np.zeros_like(losses)
        some = read.bound.reshape(-1)
        spread = SIGMAS * float(np.std(some)) / math.sqrt(len(some))
        bound[rest] = some.mean() + spread + UNITS * how.dtype.u * (np.abs(losses[rest]) + sizes[rest])
        losses[self.rows], bound[self.rows] = read.exact.reshape(-1), some
        low = None if read.exact_low is None else np.zeros((self.given.batch, 1))
        return Acceptance(exact=losses[:, None], exact_low=low, bound=bound[:, None])

    def moved(self, how: InParts, case: Case, part: PartTruth) -> float:
        """Σ|x·∂L/∂x| of a part."""
        total = 0.0
        for name in how.wrt:
            with np.errstate(all="ignore"):
                moves = np.abs(part.truth.gradients[self.reduction][name].exact * case.inputs[name])
            total += float(np.sum(moves, where=np.isfinite(moves)))
        return total

    def condition(self, how: InParts, moved: float, examples: Sequence[Acceptance]) -> float | None:
        """Σ|x·∂L/∂x| / |L| of the rows read, from what :meth:`moved` has of them, and their losses; None of no mean."""
        count = float(how.count.v.hi[0, 0]) if self.reduction == "mean" else 1.0
        if not count:
            return None
        losses = np.concatenate([example.exact.reshape(-1) for example in examples])
        if self.reduction == "none":
            losses = np.abs(losses * (self.cotangent if self.rows is None else self.cotangent[self.rows]))
        size = abs(float(np.sum(losses, where=np.isfinite(losses)))) * abs(how.scale) / count
        return moved / size if size else math.inf if moved else 0.0


def _largest(case: Case, names: Sequence[str]) -> F64:
    """The largest finite magnitude of each row."""
    found = np.zeros(case.batch)
    for name in names:
        if case.by_example(name):
            array = np.abs(case.inputs[name].reshape(case.batch, -1))
            found = np.maximum(found, np.max(array, axis=1, where=np.isfinite(array), initial=0.0))
    return found


def chosen(given: Given, rows: int) -> RowNumbers:
    """A seeded choice of so many rows, in their order; of those that do not count one in :data:`IGNORED_SHARE`."""
    order = np.random.default_rng(given.batch).permutation(given.batch)
    labels = {item.name: given.arrays[item.name].reshape(-1)[order] for item in given.loss.inputs if item.ignore}
    gone = np.zeros(given.batch, bool)
    for item in given.loss.inputs:
        if item.ignore:
            gone |= labels[item.name] == given.loss.mark(item, given.params)
    few = order[gone][: max(rows // IGNORED_SHARE, rows - int(np.count_nonzero(~gone)))]
    return np.sort(np.concatenate([few, order[~gone][: rows - len(few)]]))


def trial(
    call: Given, reduction: str, cotangent: Any, accumulate: str | None, rows: int | None, grads: Sequence[str]
) -> Trial:
    """A call with what it is judged by; raises ValueError and TypeError for what does not fit."""
    loss = call.loss
    check_choice("reduction", reduction, REDUCTIONS)
    if accumulate is not None:
        check_choice("accumulate", accumulate, tuple(DTYPES))
    if reduction == "mean" and not call.batch:
        raise ValueError("reduction is 'mean' but the batch is empty, expected at least one example")
    for name in grads:
        if name not in loss.gradient_of:
            raise ValueError(f"unknown gradient {name!r}: {loss.id} has gradients by {', '.join(loss.gradient_of)}")
    some = None
    if rows is not None:
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
            raise ValueError(f"rows is {rows!r}, expected a positive integer")
        some = None if rows >= call.batch else chosen(call, rows)
    common = [item.name for item in loss.inputs if item.shared and item.name in grads]
    if some is not None and (loss.pairs or common):
        why = (
            f"{loss.id} takes every example with every other"
            if loss.pairs
            else f"the gradient by {common[0]} is the sum over all rows"
        )
        raise ValueError(f"rows is {rows}, but {why}: leave rows out, or hand over a smaller batch")
    return Trial(call, reduction, _weights(call, reduction, cotangent), accumulate, some)


def _weights(call: Given, reduction: str, cotangent: Any) -> F64:
    """The cotangent: of each example ``[B]`` under ``none``, else one number ``[]``; 1 where none is given."""
    shape = call.leading if reduction == "none" else ()
    if cotangent is None:
        return np.ones(call.batch if shape else ())
    array = array_of("cotangent", cotangent)
    if array.shape != shape:
        raise ValueError(f"cotangent has shape {list(array.shape)}, expected {list(shape)} under {reduction!r}")
    return np.asarray(array.astype(np.float64).reshape(-1 if shape else ()))
