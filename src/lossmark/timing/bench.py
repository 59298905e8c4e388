"""Benchmarks: how long, how much memory, how near the limit of the machine.

Everything that is compared runs in turn inside one round: each implementation in each mode in a process of its own,
and the kernels that say what the machine can do (``machine_limit``). What is reported are medians over rounds and
ratios inside rounds. Only what conforms gets a time (``contestant``), else the table says why not.

The two policies of a CPU's allocator are never mixed: ``warm`` keeps what it is given back, ``default`` (glibc's)
returns large blocks to the system, which has to give every call new pages. Peak memory is measured under ``default``.
A GPU's memory is the ``framework``'s to give.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ..adapters.installed import framework
from ..errors import LossmarkError
from ..sandbox.process import Worker
from ..sandbox.target import Target
from ..specification.loss import Loss
from ..work import Timed
from .contestant import WARM, Contestant, Exercise, in_turn
from .machine_limit import INVALID, Ceilings, DeviceCeiling
from .ratio import ratio

LARGEST = 1 << 29
"""Bytes of the inputs of one call; a size beyond is not timed."""
SMALL = 1 << 20
"""Bytes of the inputs below which nothing is gained by moving fewer: to count them is left out."""


@dataclass(frozen=True)
class Row:
    """One implementation in one mode on one loss at one size. Times are seconds of a call; nan where there is none."""

    loss: str
    batch: int
    width: int
    dtype: str
    device: str
    passes: str
    allocator: str
    impl: str
    framework: str
    mode: str
    threads: int
    """That its libraries are told to use."""
    first_call: float = float("nan")
    """With tracing and compilation, where the mode has them."""
    compilation: float = float("nan")
    """What the first call took beyond a steady one, in modes that compile."""
    seconds: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    """Median of the rounds, and its quartiles."""
    rounds: int = 0
    transfer: float = float("nan")
    """Making the inputs from host memory."""
    ratio: float = float("nan")
    ratio_low: float = float("nan")
    ratio_high: float = float("nan")
    """Time of the framework's plain implementation in eager mode over this one's, with its 99 % interval."""
    limit: float = float("nan")
    """Share of the machine's limit: least possible time over time."""
    cores: float = float("nan")
    """Processors used while it ran."""
    faults: float = float("nan")
    """Pages that the system gave to a call."""
    peak: float = float("nan")
    """Bytes at the peak of a call beyond its inputs."""
    results: float = float("nan")
    """Bytes of the gradients, or of nothing under ``fwd``."""
    traffic: float = float("nan")
    """Amplification: bytes that the operations read and write, caches left aside, over the least that must be moved."""
    reason: str = ""
    """Why there is no time, or why a figure is invalid."""


@dataclass(frozen=True)
class Group:
    """What is timed together."""

    loss: Loss
    size: tuple[int, int]
    dtype: str = "float32"
    backward: bool = True
    allocator: str = "warm"
    device: str = "cpu"

    @property
    def passes(self) -> str:
        return "fwd+bwd" if self.backward else "fwd"

    @property
    def key(self) -> tuple[object, ...]:
        return (self.loss.id, *self.size, self.dtype, self.device, self.passes, self.allocator)


Entry = tuple[Target, str]
"""An implementation in one of its modes."""


class Field:
    """The processes of all entries, under one policy of the allocator; a context manager."""

    def __init__(self, entries: Sequence[Entry], allocator: str):
        self.entries, self.allocator = entries, allocator
        self._threads = cores()
        self._workers = [Worker(target.reference, self._environment(target)) for target, _ in entries]

    def _environment(self, target: Target) -> dict[str, str]:
        count = str(self.threads(target))
        pinned = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
        return dict.fromkeys(pinned, count) | (WARM if self.allocator == "warm" else {})

    def threads(self, target: Target) -> int:
        """The threads that the limit allows an implementation; some frameworks have one whatever they are told."""
        return framework(target.reference.framework).threads or self._threads

    def worker(self, entry: Entry) -> Worker:
        """The process of an entry."""
        return self._workers[self.entries.index(entry)]

    def __enter__(self) -> Field:
        with ThreadPoolExecutor(self._threads) as together:  # importing a framework takes seconds
            deque(together.map(Worker.start, self._workers), maxlen=0)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()

    def measure(self, group: Group, rounds: int, seconds: float) -> list[Row]:
        """Every entry that has the loss, in turn, for some rounds or until the time is up (at least three rounds)."""
        exercise = Exercise(group.loss, group.size, group.dtype, group.backward)
        rows: list[Row] = []
        racing: list[Contestant] = []
        for (target, mode), worker in zip(self.entries, self._workers, strict=True):
            if not target.has(group.loss):
                continue
            contestant = Contestant(target, worker, exercise, mode, group.device)
            reason = "too large" if exercise.bytes > LARGEST else _absent(group.device, worker) or contestant.start()
            if reason:
                rows.append(replace(self._row(group, contestant), reason=reason))
            else:
                racing.append(contestant)
        return rows + self._race(group, exercise, racing, rounds, seconds) if racing else rows

    def _race(
        self, group: Group, exercise: Exercise, racing: list[Contestant], rounds: int, seconds: float
    ) -> list[Row]:
        ceilings = self._ceilings(group, exercise, racing)
        order, until = random.Random(0), time.monotonic() + seconds
        times: list[dict[int, Timed]] = []
        least: list[dict[int, float]] = []
        while len(times) < rounds and (len(times) < 3 or time.monotonic() < until):
            least.append({n: ceiling.measure().seconds for n, ceiling in ceilings.items()})
            times.append(in_turn(racing, order))
        for ceiling in ceilings.values():
            ceiling.close()
        baselines = {c.target.reference.framework: i for i, c in enumerate(racing) if _plain(c) and not c.lost}
        rows = []
        for index, contestant in enumerate(racing):
            row = self._row(group, contestant)
            reason = contestant.finish()
            if not reason:
                base = baselines.get(contestant.target.reference.framework)
                row = _timed(row, index, base, times, [x[self.threads(contestant.target)] for x in least])
                if self.allocator != "warm" or exercise.bytes >= SMALL:
                    row = _weighed(row, contestant, exercise.cost.bytes)
            rows.append(replace(row, reason=reason) if reason else row)
        return rows

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

    def _row(self, group: Group, contestant: Contestant) -> Row:
        target = contestant.target
        return Row(
            group.loss.id, *group.size, group.dtype, group.device, group.passes, self.allocator,
            target.name, target.reference.framework, contestant.mode, self.threads(target),
            first_call=contestant.first_call,
        )  # fmt: skip


def _absent(device: str, worker: Worker) -> str:
    """Why nothing can be timed on a device, or an empty text; a worker that did not start says so when it is asked."""
    hello = worker.hello
    return "" if hello is None or hello.error or device in hello.devices else f"there is no {device}"


def _plain(contestant: Contestant) -> bool:
    reference = contestant.target.reference
    plain = reference.own and not framework(reference.framework).own[reference.source].fused
    return plain and not _traced(reference.framework, contestant.mode)


def _traced(framework_name: str, mode: str) -> bool:
    return framework(framework_name).mode(mode).traced


def _timed(row: Row, index: int, base: int | None, times: Sequence[dict[int, Timed]], least: Sequence[float]) -> Row:
    found = [each[index] for each in times]
    seconds = [each.seconds for each in found]
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    row = replace(
        row,
        compilation=max(0.0, row.first_call - median) if _traced(row.framework, row.mode) else float("nan"),
        seconds=median, low=low, high=high, rounds=len(seconds),
        transfer=statistics.median(each.transfer for each in found),
        limit=statistics.median(t / s for t, s in zip(least, seconds, strict=True)),
        cores=statistics.median(each.cores for each in found),
        faults=statistics.median(each.faults for each in found),
    )  # fmt: skip
    if base is not None:
        against = ratio([(s, each[base].seconds) for s, each in zip(seconds, times, strict=True)])
        row = replace(row, ratio=against.median, ratio_low=against.low, ratio_high=against.high)
    if row.limit > INVALID:
        row = replace(row, reason=f"{row.limit:.0%} of the limit: the limit was not measured rightly")
    return row


def _weighed(row: Row, contestant: Contestant, least: int) -> Row:
    found = contestant.weigh(memory=row.allocator != "warm")
    if found is None:
        return replace(row, reason=f"no costs: {contestant.lost}")
    hidden = found.peak is None or found.peak < found.results  # by an allocator that keeps what it has had
    amplification = float("nan") if found.traffic is None else found.traffic / least
    return replace(
        row,
        traffic=amplification if amplification >= 1 else float("nan"),  # less says that some of it was not seen
        peak=float("nan") if hidden or found.peak is None else found.peak,
        results=found.results,
    )


QUICK = ((64, 16), (16384, 128))
BATCHES = tuple(1 << power for power in (6, 8, 10, 12, 14, 16, 18))
WIDTHS = (16, 128, 1024)


def grid(
    losses: Sequence[Loss], sizes: Sequence[tuple[int, int]], dtypes: Sequence[str], full: bool, device: str = "cpu"
) -> list[Group]:
    """What is timed: a small and a large size in float32, or every size, dtype and policy of the allocator.

    A loss without embeddings has no width, and is timed at the first.
    """
    every = tuple((batch, width) for batch in BATCHES for width in WIDTHS)
    groups = []
    for loss in losses:
        flat = not any(item.vector for item in loss.inputs)
        for size in sizes or (every if full else QUICK):
            if flat and full and size[1] != WIDTHS[0]:
                continue
            for dtype in dtypes or (("float32", "bfloat16", "float64") if full else ("float32",)):
                large = size[0] * size[1] >= 1 << 20
                groups += [
                    Group(loss, size, dtype, backward, allocator, device)
                    for allocator in (("warm", "default") if device == "cpu" else ("framework",))
                    for backward in (True, False)
                    if full or (large and backward) or (allocator != "default" and (large or backward))
                ]
    return groups


def entries(found: Iterable[Target], modes: Sequence[str] = ()) -> list[Entry]:
    """Every implementation in each of its modes, or in some only; raises :class:`LossmarkError` if none has any."""
    chosen = [(target, mode) for target in found for mode in target.modes if not modes or mode in modes]
    if not chosen:
        raise LossmarkError(f"there is nothing to be timed: no implementation has the mode {' or '.join(modes)}")
    return chosen


def bench(groups: Sequence[Group], field: Sequence[Entry], rounds: int, seconds: float) -> Iterator[list[Row]]:
    """The rows of each group in turn; groups of one policy of the allocator share their processes."""
    for allocator in ("warm", "default", "framework"):
        mine = [group for group in groups if group.allocator == allocator]
        if mine:
            chosen = [
                (t, mode) for t, mode in field if allocator != "default" or not _traced(t.reference.framework, mode)
            ]
            with Field(chosen, allocator) as processes:
                for group in mine:
                    yield processes.measure(group, rounds, seconds)


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
