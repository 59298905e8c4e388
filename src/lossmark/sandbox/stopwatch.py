"""Times calls of code under test, in its own process, so that the figure cannot be had without the work.

The clock is taken before anybody's code is loaded. Every call gets tensors that nobody has seen, so that a result
kept from an earlier call is a wrong result, and every call is waited for. What the last call gave goes back with the
time, to be held against the formula.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, process_time
from typing import Any

import numpy as np

from ..adapters.framework import Framework
from ..adapters.implementation import Implementation
from .messages import Array, Failure, Returned, Stage, Stored, Streamed, Timed, Timing, Weighed, Weighing
from .peak_memory import faults, peak
from .readout import Readout, failure

COPIES = 10
AT_ONCE = 4
"""How often each of the stage's batches is copied, and how many copies are waited for together: the wait for a device,
and what its framework does before a copy, are no part of what its memory can do."""
WARM_CALLS = 5
"""Calls that do not count, made on a device ahead of a block: it has rested while the block's inputs were made."""


def batch_of(batches: Sequence[Mapping[str, Array]], first: str, turn: int) -> Mapping[str, Array]:
    """The inputs of the call number ``turn``: the batches in order, and over again with other pairs of rows.

    In each round the input named ``first`` is rolled by one row more, so that no call repeats another.
    """
    rounds, index = divmod(turn, len(batches))
    batch = batches[index]
    return {**batch, first: np.roll(batch[first], rounds, axis=0)}


class Stopwatch:
    """Times the loss of one stage, on the batches of the stage in turn."""

    def __init__(self, adapter: Framework, impl: Implementation, stage: Stage):
        self._framework, self._stage = adapter, stage
        self._readout = Readout(adapter)
        self._function, self._by_hand = impl.losses[stage.loss], impl.gradients.get(stage.loss)
        self._weights = adapter.from_numpy(np.ones(1, np.float32), stage.device)
        self._batches = [
            {name: x.mapped() if isinstance(x, Stored) else x for name, x in batch.items()} for batch in stage.batches
        ]
        self._turn = 0
        self._program = None
        if adapter.autodiff:
            slopes = (None,) if stage.backward else ()
            self._program = adapter.program(self._call, (None,), slopes, stage.wrt, stage.mode)

    def _call(self, tensors: Mapping[str, Any], params: Mapping[str, Any], reduction: str | None) -> Any:
        return self._function(**tensors)

    def _run(self, tensors: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any] | None]:
        """The mean loss, and its gradient if the stage asks for it."""
        if self._program is not None:
            found = self._program(tensors, self._weights, {})[None]
            return found.value, found.gradient
        value = self._function(**tensors)
        return value, self._by_hand(**tensors) if self._stage.backward and self._by_hand else None

    def time(self, timing: Timing) -> Timed:
        """The least mean time of a call over some blocks, and what the last call gave.

        Where a call raises, the time is infinite and the value is the failure.
        """
        try:
            return self._time(timing)
        except BaseException as error:
            return Timed(float("inf"), self._turn, failure(error), failure(error))

    def _time(self, timing: Timing, clock: Callable[[], float] = perf_counter) -> Timed:
        """``clock`` is bound before anybody's code is loaded, so that nobody can put another in its place."""
        if timing.core is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {timing.core})
        self._turn = self._turn if timing.turn is None else timing.turn
        least, cores, given_pages, transfer = (float("inf"), 0.0, 0, 0.0)
        values: dict[int, Any] = {}
        for _ in range(timing.blocks):
            batches = [self._batch(self._turn + i) for i in range(timing.calls)]
            begun = clock()
            tensors = [self._tensors(batch) for batch in batches]
            self._framework.synchronise(tensors)
            transfer = clock() - begun
            self._warm_up()
            given_back = []
            pages, used = faults(), process_time()
            start = clock()
            for given in tensors:
                result = self._run(given)
                self._framework.synchronise(result)
                given_back.append(result[0])
            seconds = clock() - start
            if seconds < least:
                least, cores, given_pages = seconds, (process_time() - used) / seconds, faults() - pages
            values |= enumerate(given_back, self._turn)
            self._turn += timing.calls
        value, gradient = result
        changed = tuple(name for name, x in tensors[-1].items() if self._readout.changed(x, batches[-1][name]))
        found: Mapping[str, Array] | Failure = self._readout.gradient(gradient or {}) if timing.show else {}
        return Timed(
            least / timing.calls, self._turn - 1, self._readout.returned(value), found, changed, self._arrays(values),
            cores, given_pages / timing.calls, transfer / timing.calls,
        )  # fmt: skip

    def _warm_up(self) -> None:
        if self._stage.device != "cpu":
            for _ in range(WARM_CALLS):
                self._framework.synchronise(self._run(self._uncounted))

    @functools.cached_property
    def _uncounted(self) -> Mapping[str, Any]:
        """The inputs of calls that do not count, on the device."""
        return self._tensors(self._batch(0))

    def stream(self, clock: Callable[[], float] = perf_counter) -> Streamed:
        """Bytes per second of the fastest of some copies, each of other inputs than the one before."""
        batches = [self._tensors(batch) for batch in self._batches]
        seconds = float("inf")
        for tensors in batches * COPIES:
            start = clock()
            copies = [self._framework.copied(x) for x in tensors.values() for _ in range(AT_ONCE)]
            self._framework.synchronise(copies)
            seconds = min(seconds, clock() - start)
        return Streamed(2 * AT_ONCE * sum(x.nbytes for x in self._batches[0].values()) / seconds)

    def weigh(self, weighing: Weighing) -> Weighed:
        """What a call costs beside time: peak memory if that is asked for, traffic, and programs compiled anew."""
        tensors = self._tensors(self._batch(self._turn))
        _, gradient = self._run(tensors)
        results = sum(self._framework.to_numpy(x).nbytes for x in (gradient or {}).values())
        del gradient
        before = self._framework.programs()
        highest, programs, traffic = None, 0, None
        with contextlib.suppress(BaseException):  # what a call raises is for other checks
            highest = self._peak(tensors) if weighing.memory else None
            self._run(tensors)
            programs = self._framework.programs() - before
            traffic = self._framework.traffic(self._run, tensors, self._stage.mode)
        return Weighed(highest, results, traffic, programs)

    def _peak(self, tensors: Mapping[str, Any]) -> int | None:
        def call() -> Any:
            found = self._run(tensors)
            self._framework.synchronise(found)
            return found

        if self._stage.device == "cpu":
            return peak(call)
        before = self._framework.gpu_memory()  # starts anew
        call()
        after = self._framework.gpu_memory()
        return after[1] - before[0] if before and after else None

    def _batch(self, turn: int) -> Mapping[str, Array]:
        return batch_of(self._batches, self._stage.wrt[0], turn)

    def _tensors(self, batch: Mapping[str, Array]) -> dict[str, Any]:
        return {name: self._framework.from_numpy(x, self._stage.device) for name, x in batch.items()}

    def _arrays(self, values: Mapping[int, Any]) -> dict[int, Array]:
        returned = {turn: self._readout.returned(value) for turn, value in values.items()}
        return {turn: x.array for turn, x in returned.items() if isinstance(x, Returned) and x.array is not None}
