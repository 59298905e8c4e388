"""Benchmarks: how long, how much memory, how near the limit of the machine.

Everything that is compared runs in turn inside one round: each implementation in each mode in a process of its own,
and the kernels that say what the machine can do (``machine_limit``). What is reported are medians over rounds and
ratios inside rounds. Only what conforms gets a time (``contestant``); of the rest the table says why not.

The two policies of a CPU's allocator are never mixed: ``warm`` keeps what it is given back, ``default`` (glibc's)
returns large blocks to the system, which has to give every call new pages. Peak memory is measured under ``default``.
A GPU's memory is managed by the ``framework``.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ..adapters.installed import framework
from ..errors import LossmarkError
from ..results.environment import cores
from ..sandbox.process import Worker
from ..sandbox.target import Target
from .contestant import WARM, Contestant
from .exercise import Exercise
from .grid import Group
from .machine_limit import Ceilings, DeviceCeiling
from .rounds import timed_rounds
from .row import BenchRow, with_costs, with_times

WEIGHED_BYTES = 1 << 20
"""Bytes of the inputs from which memory and traffic are measured: below, nothing is gained by moving fewer."""
LEAST_ROUNDS = 3
"""Rounds that are taken however long they last."""

Candidate = tuple[Target, str]
"""An implementation in one of its modes."""


class Field:
    """The processes of all candidates under one policy of the allocator; a context manager starts and ends them."""

    def __init__(self, candidates: Sequence[Candidate], allocator: str):
        self.candidates, self.allocator = candidates, allocator
        self._threads = cores()
        self._workers = [Worker(target.reference, self._environment(target)) for target, _ in candidates]

    def _environment(self, target: Target) -> dict[str, str]:
        count = str(self.threads(target))
        pinned = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
        return dict.fromkeys(pinned, count) | (WARM if self.allocator == "warm" else {})

    def threads(self, target: Target) -> int:
        """The threads that the limit allows an implementation; some frameworks have one whatever they are told."""
        return framework(target.reference.framework).threads or self._threads

    def worker(self, candidate: Candidate) -> Worker:
        """The process of a candidate."""
        return self._workers[self.candidates.index(candidate)]

    def __enter__(self) -> Field:
        with ThreadPoolExecutor(self._threads) as together:  # importing a framework takes seconds
            deque(together.map(Worker.start, self._workers), maxlen=0)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()

    def measure(self, group: Group, rounds: int, seconds: float, weigh: bool = True) -> list[BenchRow]:
        """Time every candidate that has the group's loss, in turn.

        This takes so many ``rounds``, or fewer, but at least three, when ``seconds`` have passed. Memory and traffic
        are left out where ``weigh`` is false. Candidates without a time have a row that says why.
        """
        exercise = Exercise(group.loss, group.size, group.dtype, group.backward)
        rows: list[BenchRow] = []
        racing: list[Contestant] = []
        for (target, mode), worker in zip(self.candidates, self._workers, strict=True):
            if not target.has(group.loss):
                continue
            contestant = Contestant(target, worker, exercise, mode, group.device)
            reason = exercise.too_large or _absent(group.device, worker) or contestant.start()
            if reason:
                rows.append(replace(self._row(group, contestant), reason=reason))
            else:
                racing.append(contestant)
        if racing:
            timed = self._race(group, exercise, racing, rounds, seconds)
            small = self.allocator == "warm" and exercise.bytes < WEIGHED_BYTES
            rows += self._weighed(timed, racing, exercise.cost.bytes) if weigh and not small else timed
        return rows

    def _race(
        self, group: Group, exercise: Exercise, racing: list[Contestant], rounds: int, seconds: float
    ) -> list[BenchRow]:
        ceilings = self._ceilings(group, exercise, racing)
        least: list[dict[int, float]] = []

        def measured() -> None:
            least.append({n: ceiling.measure().seconds for n, ceiling in ceilings.items()})

        order = random.Random(0)
        times = list(timed_rounds(racing, order, seconds=seconds, least=LEAST_ROUNDS, most=rounds, before=measured))
        for ceiling in ceilings.values():
            ceiling.close()
        baselines = {c.target.reference.framework: i for i, c in enumerate(racing) if _plain(c) and not c.lost}
        rows = []
        for index, contestant in enumerate(racing):
            row = self._row(group, contestant)
            reason = contestant.finish()
            if not reason:
                base = baselines.get(contestant.target.reference.framework)
                row = with_times(row, index, base, times, [x[self.threads(contestant.target)] for x in least])
            rows.append(replace(row, reason=reason) if reason else row)
        return rows

    def _weighed(self, rows: Sequence[BenchRow], racing: Sequence[Contestant], least: int) -> list[BenchRow]:
        """The rows with memory and traffic; no clock is read, so that processes need not wait for each other."""

        def weighed(row: BenchRow, contestant: Contestant) -> BenchRow:
            return row if math.isnan(row.seconds) else with_costs(row, contestant, least)

        with ThreadPoolExecutor(self._threads) as together:
            return list(together.map(weighed, rows, racing))

    def _ceilings(
        self, group: Group, exercise: Exercise, racing: Sequence[Contestant]
    ) -> Mapping[int, Ceilings | DeviceCeiling]:
        """What the machine can do, by the count of threads that an implementation has."""
        counts = {self.threads(contestant.target) for contestant in racing}
        if group.device != "cpu":
            own = next((x for x in racing if x.target.reference.own), racing[0])
            return dict.fromkeys(counts, DeviceCeiling(own.worker, exercise.cost))
        written = exercise.loss.gradient_of if exercise.backward else ()
        batches = exercise.rotation(max(contestant.calls for contestant in racing))
        return {n: Ceilings(batches, written, n, exercise.cost) for n in counts}

    def _row(self, group: Group, contestant: Contestant) -> BenchRow:
        """The row of a contestant, without figures."""
        target = contestant.target
        return BenchRow(
            group.loss.id, *group.size, group.dtype, group.device, group.passes, self.allocator,
            target.name, target.reference.framework, contestant.mode, self.threads(target),
            first_call=contestant.first_call,
        )  # fmt: skip


def _absent(device: str, worker: Worker) -> str:
    """Why nothing can be timed on a device, or an empty text; a worker that did not start says so when it is asked."""
    hello = worker.hello
    return "" if hello is None or hello.error or device in hello.devices else f"there is no {device}"


def _plain(contestant: Contestant) -> bool:
    """Whether this is lossmark's plain implementation in a framework, in eager mode: ratios are taken against it."""
    reference = contestant.target.reference
    plain = reference.own and not framework(reference.framework).own[reference.source].fused
    return plain and not contestant.target.mode(contestant.mode).traced


def candidates_of(found: Iterable[Target], modes: Sequence[str] = ()) -> list[Candidate]:
    """Every implementation in each of its modes, or in some only; raises :class:`LossmarkError` if none has any."""
    chosen = [(target, mode) for target in found for mode in target.modes if not modes or mode in modes]
    if not chosen:
        raise LossmarkError(f"there is nothing to be timed: no implementation has the mode {' or '.join(modes)}")
    return chosen


def bench(
    groups: Sequence[Group], candidates: Sequence[Candidate], rounds: int, seconds: float
) -> Iterator[list[BenchRow]]:
    """The rows of each group, as :meth:`Field.measure` gives them; groups of one allocator's policy share processes."""
    for allocator in ("warm", "default", "framework"):
        mine = [group for group in groups if group.allocator == allocator]
        if mine:
            chosen = [
                (target, mode) for target, mode in candidates if allocator != "default" or not target.mode(mode).traced
            ]
            with Field(chosen, allocator) as processes:
                for group in mine:
                    yield processes.measure(group, rounds, seconds)
