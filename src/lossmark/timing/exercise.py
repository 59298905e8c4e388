"""What is timed: one loss at one size and dtype, with the inputs of every call and what is expected of each."""

from __future__ import annotations

import functools
import math
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..adapters.deviation import Deviation
from ..checks.judgement import Judgement, combine, judge, slopes
from ..dtypes import DTYPES
from ..formula.tree import Sizes, shape_of
from ..readings.cost import Cost, forward, forward_backward
from ..sandbox.messages import Array, Failure, Returned, Stage, Stored, Timed
from ..sandbox.stopwatch import batch_of
from ..specification.case import Case, left_out
from ..specification.deviated import counted, held_to, meant
from ..specification.inputs import timed
from ..specification.loss import Loss
from ..tolerance.acceptance import Expected
from ..tolerance.expected import expected

LARGE = 1 << 20
"""Numbers of an input that no cache holds."""
LARGEST = 1 << 29
"""Bytes of the inputs of one call; a size beyond is not timed."""
MOST_PAIRS = 1 << 22
"""Pairs of examples; a size with more is not timed: what is expected of it takes 800 bytes for each pair."""
DISTINCT_BATCHES = 4
"""Different inputs that calls take in turn, where they are not large."""
LAST_TURN = 1 << 20
"""The call that is checked at the end, the same for all, so that what is expected of it is computed once."""


class Exercise:
    """One loss at one size and dtype: the inputs that every contestant is given, and what is expected of each call.

    ``size`` is batch and dimensions. Calls are numbered by *turns*: :func:`~lossmark.sandbox.stopwatch.batch_of` says
    which inputs a turn has, so that both processes know them without sending them.
    """

    def __init__(self, loss: Loss, size: tuple[int, int], dtype: str = "float32", backward: bool = True):
        self.loss, self.size, self.dtype, self.backward = loss, size, dtype, backward
        self._kept: dict[tuple[int, str], Expected] = {}

    @functools.cached_property
    def batches(self) -> tuple[Mapping[str, Array], ...]:
        """The inputs that calls take in turn, by name; fewer where one of them is larger than any cache."""
        seeds = range(2 if self._large else DISTINCT_BATCHES)
        return tuple(timed(self.loss, self.size, DTYPES[self.dtype], seed) for seed in seeds)

    def rotation(self, calls: int) -> list[Mapping[str, Array]]:
        """Copies of the inputs, at least one for each of ``calls``: they lie in the same level of the caches."""
        copies = range(-(-calls // len(self.batches)) - 1)
        more = ({name: x.copy() for name, x in batch.items()} for _ in copies for batch in self.batches)
        return [*self.batches, *more]

    @property
    def shape(self) -> str:
        """The size as text: ``BxD``, or ``B`` where no input has dimensions."""
        return "x".join(map(str, self._dims))

    @property
    def _large(self) -> bool:
        return math.prod(self._dims) > LARGE

    @property
    def _dims(self) -> tuple[int, ...]:
        """The dimensions of the largest input."""
        return shape_of(self.loss.axes, self._sizes)

    @property
    def _sizes(self) -> Sizes:
        return self.loss.sizes(self.size)

    @property
    def passes(self) -> str:
        """What a call does, in the words of results: ``fwd+bwd`` or ``fwd``."""
        return "fwd+bwd" if self.backward else "fwd"

    @property
    def bytes(self) -> int:
        """Bytes of the inputs of one call."""
        numbers = sum(math.prod(shape_of(item.dims, self._sizes)) for item in self.loss.inputs)
        return numbers * DTYPES[self.dtype].numpy.itemsize

    @property
    def too_large(self) -> str:
        """Why the size is not timed, or nothing."""
        if self.loss.pairs and self.size[0] ** 2 > MOST_PAIRS:
            return f"too many pairs: {self.size[0]}^2, and the most is {MOST_PAIRS}"
        return "too large" if self.bytes > LARGEST else ""

    @property
    def cost(self) -> Cost:
        """The least bytes and operations that a call has to do."""
        reading = forward_backward if self.backward else forward
        return reading(self.loss.gradients({}), self._sizes, DTYPES[self.dtype])

    def stage(self, impl: str, mode: str, device: str) -> Stage:
        """The message that makes a worker ready to time the implementation ``impl``."""
        return Stage(impl, self.loss.id, self._shared, self.loss.gradient_of, self.backward, mode, device)

    @functools.cached_property
    def _folder(self) -> Path:
        path = Path(tempfile.mkdtemp(prefix="lossmark-"))
        weakref.finalize(self, shutil.rmtree, path)
        return path

    @functools.cached_property
    def _shared(self) -> tuple[Mapping[str, Array | Stored], ...]:
        """The batches as a worker gets them: large arrays in files, which are removed with the exercise."""
        if not self._large:
            return self.batches
        return tuple(
            {name: Stored.written(x, self._folder / f"{number}-{name}") for name, x in batch.items()}
            for number, batch in enumerate(self.batches)
        )

    def judged(self, found: Timed, deviation: Deviation | None) -> Judgement:
        """Hold the last call of ``found``, value and gradient under mean, against the formula.

        ``deviation`` is what the implementation declares to compute instead, if anything.
        """
        assert isinstance(found.value, Returned)
        if found.value.array is None:
            return Judgement(False, note=f"got {found.value.dtype}, expected a tensor")
        truth = self._expected(found.turn, deviation, self.backward)
        dtype = DTYPES[self.dtype]
        parts = [judge(found.value.array, truth.values["mean"], dtype, "mean")]
        if self.backward:
            if isinstance(found.gradient, Failure):
                return Judgement(False, note=str(found.gradient))
            accepted = truth.gradients["mean"]
            zeros = {name: np.zeros(part.shape) for name, part in accepted.items()}
            parts.append(slopes({**zeros, **found.gradient}, accepted, truth.kinks["mean"], dtype, "gradient of mean"))
        return combine(parts)

    def value_judged(self, value: Array, turn: int, deviation: Deviation | None) -> Judgement:
        """Hold the value of the call number ``turn`` against the formula."""
        truth = self._expected(turn, deviation, False)
        return judge(value, truth.values["mean"], DTYPES[self.dtype], "mean")

    def _expected(self, turn: int, deviation: Deviation | None, backward: bool) -> Expected:
        """What conforms in the call number ``turn``; kept for the two calls that every contestant is checked at."""
        key = (turn, f"{deviation.changes} {deviation.accumulate}" if deviation else "")
        if key in self._kept:
            return self._kept[key]
        batch = batch_of(self.batches, self.loss.gradient_of[0], turn)
        inputs = {
            item.name: left_out(item, self._sizes)
            if item.name in self.loss.optional
            else batch[item.name].astype(np.float64)
            for item in self.loss.inputs
        }
        absent = frozenset(self.loss.optional)
        case = Case(f"{self.loss.id}/timed", self.loss.id, {}, inputs, self.loss.dims, absent=absent)
        scale = deviation.scale if deviation else 1.0
        wanted = ("mean",) if backward else ()
        loss, case = held_to(deviation, self.loss), meant(deviation, case)
        dtype = counted(deviation, DTYPES[self.dtype])
        truth = expected(loss, case, dtype, np.ones(case.batch), wanted, scale)
        if turn in (0, LAST_TURN):
            self._kept[key] = truth
        return truth
