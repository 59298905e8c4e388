"""A hunt on one machine: quarries are divided among processes, each of which has the workers of those it is given.

What a quarry gives depends on nothing but itself, the seed and its number of steps: neither on the number of processes
nor on the order.
"""

from __future__ import annotations

import functools
import math
import multiprocessing
import multiprocessing.util
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass

from ..adapters.installed import runtime
from ..golden.counterexample import Counterexample
from ..sandbox.living import workers_bytes
from ..specification.library import losses
from ..suite.answers import Answers
from .catch import recalled
from .climb import climb_of
from .examine import Examiner
from .quarry import Quarry
from .record import HuntState, QuarryKey
from .shrink import shrunk

LEG = 1.0
"""Seconds after which a process tells how far it is."""
JUDGE_BYTES = 200 << 20
"""The memory of a process that judges, beside that of its worker."""


@dataclass(frozen=True)
class Budget:
    """How long each quarry is hunted: until so many evaluations, or for its share of so many seconds."""

    evaluations: int | None = None
    seconds: float | None = None

    def share(self, processors: float, quarries: int) -> float:
        """The seconds of each of so many quarries on so many processors; infinite where none are set."""
        return math.inf if self.seconds is None else self.seconds * processors / quarries


def processes_for(quarries: Sequence[Quarry]) -> int:
    """How many processes hunt: as many as there are processors and quarries, and room for their workers."""
    largest = max(runtime(quarry.target.reference.framework).worker_bytes for quarry in quarries)
    room = workers_bytes() // (largest + JUDGE_BYTES)
    return max(1, min(os.cpu_count() or 1, len(quarries), room))


def hunt(
    quarries: Sequence[Quarry],
    seed: int,
    budget: Budget,
    states: Mapping[QuarryKey, HuntState],
    told: Callable[[Quarry, HuntState], None],
    processes: int | None = None,
) -> None:
    """Hunt every quarry, each from its state on; ``told`` gets the new state of one whenever there is one.

    It is told by one thread at a time. An interrupt, or what ``told`` raises, ends the hunt after the leg of each.
    """
    count = processes or processes_for(quarries)
    share = budget.share(count, len(quarries))
    left: queue.SimpleQueue[Quarry] = queue.SimpleQueue()
    for quarry in quarries:
        left.put(quarry)
    stop, lock = threading.Event(), threading.Lock()

    def work() -> None:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin) as process:
            while not stop.is_set():
                try:
                    quarry = left.get_nowait()
                except queue.Empty:
                    return
                until = time.monotonic() + share
                state, more = states.get(quarry.key), True
                while more and not stop.is_set():
                    rest = min(LEG, until - time.monotonic())
                    state, more = process.submit(leg, quarry, seed, state, budget.evaluations, rest).result()
                    more = more and time.monotonic() < until
                    with lock:
                        told(quarry, state)

    with ThreadPoolExecutor(count, "hunt") as threads:
        try:
            for future in [threads.submit(work) for _ in range(count)]:
                future.result()
        finally:
            stop.set()


def leg(
    quarry: Quarry, seed: int, state: HuntState | None, evaluations: int | None, seconds: float = math.inf
) -> tuple[HuntState, bool]:
    """Hunt one quarry on from its state, and say how far that came and whether there is more to do.

    It ends after the step that brings it to its ``evaluations``, or that the seconds are over in: at least one is made,
    but where the evaluations are there already.
    """
    until = time.monotonic() + seconds
    loss = losses()[quarry.loss]
    climb = climb_of(quarry, loss, seed, state)
    examiner = Examiner(quarry, loss, _answers())
    while not (done := climb.over or (evaluations is not None and climb.evaluations >= evaluations)):
        climb.step(examiner)
        if time.monotonic() >= until:
            break
    return climb.state(), not done


def simplest(quarries: Sequence[tuple[Quarry, HuntState]]) -> list[Counterexample]:
    """For each quarry the simplest case near its worst find, of those that have one beyond its bound."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin) as process:
        found = [process.submit(_simplest, quarry, state).result() for quarry, state in quarries]
    return [each for each in found if each is not None]


def _simplest(quarry: Quarry, state: HuntState) -> Counterexample | None:
    loss = losses()[quarry.loss]
    finds = [catch for catch in (recalled(loss, row) for row in state["worst"]) if catch.beyond]
    if not finds:
        return None
    return shrunk(Examiner(quarry, loss, _answers()), max(finds, key=lambda catch: catch.budget_used))


def _begin() -> None:
    """Leave an interrupt to the process that hunts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@functools.cache
def _answers() -> Answers:
    """The workers of this process, which end with it."""
    answers = Answers()
    multiprocessing.util.Finalize(None, answers.close, exitpriority=10)
    return answers
