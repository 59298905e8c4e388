"""Implementations that are timed against each other: each in a process of its own, on the same inputs, each checked.

Only what conforms gets a time. The first and the last call of every contestant are held against the formula, at the
very size, dtype and mode that is timed, and so is every value that equals an earlier one to the bit: kept results show.
"""

from __future__ import annotations

import functools
import math
import random
import shutil
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..adapters.deviation import Deviation
from ..checks.judgement import Judgement, combine, judge, slopes
from ..checks.ordinary import explained
from ..dtypes import DTYPES
from ..readings.cost import Cost, forward, forward_backward
from ..sandbox.process import GaveUp, Worker
from ..sandbox.stopwatch import batch_of
from ..sandbox.target import Target
from ..specification.case import Case
from ..specification.deviated import meant
from ..specification.inputs import timed
from ..specification.loss import Loss
from ..tolerance.acceptance import Expected
from ..tolerance.expected import expected
from ..work import Array, Failure, Message, Reply, Returned, Stage, Stored, Timed, Timing, Weighed, Weighing

WARM = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_TOP_PAD_": "67108864"}
"""glibc's allocator keeps what it is given back, instead of asking the system for fresh pages at every large result."""
BLOCK_SECONDS = 0.005
BLOCK_BYTES = 64 << 20
"""A block of calls lasts long enough for the clock, within a limit of memory for the inputs of its calls."""
BLOCKS = 3
"""The fastest counts, as of the kernels that say what the machine can do."""
LARGE = 1 << 20
"""Numbers of an input that no cache holds."""
BATCHES = 4
CHECKED = 1 << 20
"""The call that is checked at the end, the same for all, so that what is expected of it is computed once."""
REPEATED = 32
REPEATED_SECONDS = 2.0
"""How many repeated values are checked, and for how long."""


class Exercise:
    """One loss at one size and dtype: the inputs that every contestant is given, and what is expected of each call."""

    def __init__(self, loss: Loss, size: tuple[int, int], dtype: str = "float32", backward: bool = True):
        self.loss, self.size, self.dtype, self.backward = loss, size, dtype, backward
        self._kept: dict[tuple[int, Deviation | None], Expected] = {}

    @functools.cached_property
    def batches(self) -> tuple[Mapping[str, Array], ...]:
        """Several inputs in turn; fewer where one is larger than any cache."""
        seeds = range(2 if self._large else BATCHES)
        return tuple(timed(self.loss, self.size, DTYPES[self.dtype], seed) for seed in seeds)

    def rotation(self, calls: int) -> list[Mapping[str, Array]]:
        """At least as many different inputs as so many calls are given: they lie in the same level of the caches."""
        copies = range(-(-calls // len(self.batches)) - 1)
        more = ({name: x.copy() for name, x in batch.items()} for _ in copies for batch in self.batches)
        return [*self.batches, *more]

    @property
    def shape(self) -> str:
        """``BxD``, or ``B`` where no input has dimensions."""
        return "x".join(map(str, self._dims))

    @property
    def _large(self) -> bool:
        return math.prod(self._dims) > LARGE

    @property
    def _dims(self) -> tuple[int, ...]:
        """Those of the largest input."""
        return self.size if any(item.vector for item in self.loss.inputs) else self.size[:1]

    @property
    def passes(self) -> str:
        return "fwd+bwd" if self.backward else "fwd"

    @property
    def bytes(self) -> int:
        """What the inputs of one call hold."""
        batch, width = self.size
        numbers = sum(batch * (width if item.vector else 1) for item in self.loss.inputs)
        return numbers * DTYPES[self.dtype].numpy.itemsize

    @property
    def cost(self) -> Cost:
        """The least that a call has to do."""
        reading = forward_backward if self.backward else forward
        return reading(self.loss.gradients({}), *self.size, DTYPES[self.dtype])

    def stage(self, impl: str, mode: str, device: str) -> Stage:
        return Stage(impl, self.loss.id, self._shared, self.loss.gradient_of, self.backward, mode, device)

    @functools.cached_property
    def _folder(self) -> Path:
        path = Path(tempfile.mkdtemp(prefix="lossmark-"))
        weakref.finalize(self, shutil.rmtree, path)
        return path

    @functools.cached_property
    def _shared(self) -> tuple[Mapping[str, Array | Stored], ...]:
        """The batches for processes of their own: what is large in files, which go when the exercise does."""
        if not self._large:
            return self.batches
        return tuple(
            {name: Stored.written(x, self._folder / f"{number}-{name}") for name, x in batch.items()}
            for number, batch in enumerate(self.batches)
        )

    def judged(self, found: Timed, deviation: Deviation | None) -> Judgement:
        """The last call that was timed."""
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
        """The value of any one call."""
        truth = self._expected(turn, deviation, False)
        return judge(value, truth.values["mean"], DTYPES[self.dtype], "mean")

    def _expected(self, turn: int, deviation: Deviation | None, backward: bool) -> Expected:
        key = (turn, deviation)
        if key in self._kept:
            return self._kept[key]
        batch = batch_of(self.batches, self.loss.gradient_of[0], turn)
        inputs = {name: array.astype(np.float64) for name, array in batch.items()}
        case = Case(f"{self.loss.id}/timed", self.loss.id, {}, inputs)
        scale = deviation.scale if deviation else 1.0
        wanted = ("mean",) if backward else ()
        truth = expected(self.loss, meant(deviation, case), DTYPES[self.dtype], np.ones(case.batch), wanted, scale)
        if turn in (0, CHECKED):
            self._kept[key] = truth
        return truth


class Contestant:
    """One implementation in one mode. :meth:`start`, then :meth:`time` as often as wanted, then :meth:`finish`.

    ``lost`` says why it cannot be gone on with, where a call raised or its process crashed or hung.
    """

    def __init__(self, target: Target, worker: Worker, exercise: Exercise, mode: str = "eager", device: str = "cpu"):
        self.target, self.worker, self.exercise, self.mode = target, worker, exercise, mode
        self._stage = exercise.stage(target.name, mode, device)
        self._deviation = target.deviations.get(exercise.loss.id)
        self._seen: dict[bytes, int] = {}
        self._repeated: dict[int, Array] = {}
        self.calls = 1
        self.lost = ""
        self.first_call = self._last_seconds = float("nan")

    def start(self) -> str:
        """Prepare and check; returns why there is no time, or an empty text."""
        loss, backward = self.exercise.loss, self.exercise.backward
        if backward and not self.target.differentiates(loss):
            return "no gradient is registered, compare with --pass fwd"
        started = self._asked(self._stage)
        reason = str(started) if isinstance(started, Failure) else self._refused(Timing(1, 1, show=True, turn=0))
        self.first_call = self._last_seconds
        if reason:
            return reason
        most = max(1, BLOCK_BYTES // self.exercise.bytes)
        found = self.time()
        if found is not None:
            self.calls = max(1, min(most, 1000, round(BLOCK_SECONDS / max(found.seconds, 1e-6))))
        return self.lost

    def time(self, core: int | None = None) -> Timed | None:
        """The fastest of some blocks of calls; None of one that is lost."""
        if self.lost:
            return None
        found = self._asked(Timing(self.calls, BLOCKS, core=core))
        if isinstance(found, Failure):
            return None
        assert isinstance(found, Timed)
        if isinstance(found.value, Failure):
            self.lost = str(found.value)
            return None
        for turn, value in found.values.items():
            if self._seen.setdefault(value.tobytes(), turn) != turn:
                self._repeated[turn] = value
        return found

    def finish(self) -> str:
        """Why the times do not count after all, or an empty text."""
        if self.lost:
            return self.lost
        start = CHECKED + 1 - self.calls
        return self._refused(Timing(self.calls, 1, show=self.exercise.backward, turn=start)) or self._kept_results()

    def weigh(self, memory: bool) -> Weighed | None:
        """What a call costs beside time; None of one that is lost. With ``memory`` the process is not warm any more."""
        found = None if self.lost else self._asked(Weighing(memory))
        return found if isinstance(found, Weighed) else None

    def _asked(self, message: Message) -> Reply | Failure:
        """The answer of the process; a crash or a hang loses the contestant, as does one that has had too many."""
        try:
            found = self.worker.run(message)
        except GaveUp as error:
            found = Failure("crashed", "", str(error))
        if isinstance(found, Failure):
            self.lost = str(found)
        return found

    def _refused(self, timing: Timing) -> str:
        found = self._asked(timing)
        if isinstance(found, Failure):
            return str(found)
        assert isinstance(found, Timed)
        self._last_seconds = found.seconds
        if isinstance(found.value, Failure):
            return str(found.value)
        if found.modified:
            return f"a call changes its input {', '.join(found.modified)}"
        return _reason(self.exercise.judged(found, self._deviation))

    def _kept_results(self) -> str:
        until = time.monotonic() + REPEATED_SECONDS
        for turn in random.Random(0).sample(sorted(self._repeated), min(REPEATED, len(self._repeated))):
            value = self._repeated[turn]
            reason = _reason(self.exercise.value_judged(value, turn, self._deviation))
            if reason or time.monotonic() > until:
                return reason
        return ""


def _reason(result: Judgement) -> str:
    return "" if result.ok else f"does not conform: {result.note or explained(result)}"


def in_turn(contestants: Sequence[Contestant], order: random.Random, core: int | None = None) -> dict[int, Timed]:
    """One time by its place of each that is not lost, in random order, on one processor if ``core`` says which."""
    turns = order.sample(range(len(contestants)), len(contestants))
    times = {index: contestants[index].time(core) for index in turns}
    return {index: found for index, found in times.items() if found is not None}
