"""Implementations that are timed against each other: each in a process of its own, on the same inputs, each checked.

Only what conforms gets a time. The first and the last call of every contestant are held against the formula, at the
very size, dtype and mode that is timed. So is every value that equals an earlier one to the bit: an implementation
that returns a result it has kept is found by that.
"""

from __future__ import annotations

import random
import time

from ..checks.judgement import Judgement
from ..checks.ordinary import explained
from ..sandbox.messages import Array, Failure, Message, Reply, Timed, Timing, Weighed, Weighing
from ..sandbox.process import GaveUp, Worker
from ..sandbox.target import Target
from .exercise import LAST_TURN, Exercise

WARM = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_TOP_PAD_": "67108864"}
"""Environment that makes glibc's allocator keep freed memory: large results get no fresh pages at every call."""
BLOCK_SECONDS = 0.005
"""A block of calls lasts about as long: long enough for the clock."""
BLOCK_BYTES = 64 << 20
"""The most that the inputs of the calls of a block hold together."""
MOST_CALLS = 1000
"""The most calls of a block."""
BLOCKS = 3
"""Blocks of one time; the fastest counts, as with the kernels that say what the machine can do."""
REPEATS_CHECKED = 32
REPEATS_SECONDS = 2.0
"""How many repeated values are checked at most, and for how long."""


class Contestant:
    """One implementation in one mode: :meth:`start`, then :meth:`time` as often as wanted, then :meth:`finish`.

    ``lost`` says why it can give no further times: a call raised, or its process crashed or hung. It is empty as long
    as it can. ``calls`` is the number of calls of a block, ``first_call`` the seconds of the first one.
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
        """Make the process ready and check the first call; returns why there is no time, or an empty text."""
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
            self.calls = max(1, min(most, MOST_CALLS, round(BLOCK_SECONDS / max(found.seconds, 1e-6))))
        return self.lost

    def time(self, core: int | None = None) -> Timed | None:
        """The fastest of some blocks of calls, on the processor ``core`` if one is named; None if it is lost."""
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
        """Check the last call and repeated values; returns why the times do not count after all, or an empty text."""
        if self.lost:
            return self.lost
        start = LAST_TURN + 1 - self.calls
        return self._refused(Timing(self.calls, 1, show=self.exercise.backward, turn=start)) or self._kept_results()

    def weigh(self, memory: bool) -> Weighed | None:
        """What a call costs beside time; None if it is lost. After ``memory`` was measured the process is not warm."""
        found = None if self.lost else self._asked(Weighing(memory))
        return found if isinstance(found, Weighed) else None

    def _asked(self, message: Message) -> Reply | Failure:
        """The answer of the process. A crash or a hang, or a process with too many of them, loses the contestant."""
        try:
            found = self.worker.run(message)
        except GaveUp as error:
            found = Failure("crashed", "", str(error))
        if isinstance(found, Failure):
            self.lost = str(found)
        return found

    def _refused(self, timing: Timing) -> str:
        """Time some calls; returns why the last of them does not conform, or an empty text."""
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
        """Why a value that equals an earlier one does not conform where it was given, or an empty text."""
        until = time.monotonic() + REPEATS_SECONDS
        for turn in random.Random(0).sample(sorted(self._repeated), min(REPEATS_CHECKED, len(self._repeated))):
            value = self._repeated[turn]
            reason = _reason(self.exercise.value_judged(value, turn, self._deviation))
            if reason or time.monotonic() > until:
                return reason
        return ""


def _reason(result: Judgement) -> str:
    return "" if result.ok else f"does not conform: {result.note or explained(result)}"
