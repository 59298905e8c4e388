"""Costs that can be counted: peak memory, bytes moved by operations, programs compiled anew. Any increase fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ..sandbox.messages import Weighed
from ..timing.contestant import Contestant
from .benchmark import Benchmark, Entrants
from .outcome import Finding

SLACK = 0.02
PAGES = 256 << 10
"""A peak may be higher by this share and so many bytes: pages are whole, and threads take some of their own."""
WEIGHINGS = 3
"""The least of several peaks counts: whatever else a process does only adds to it."""


def compared(benchmarks: Sequence[Benchmark], entrants: Entrants) -> Iterator[Finding]:
    """What costs more in the head than in the base.

    Both sides are weighed in processes of their own, whose allocator gives free memory back to the system.
    """
    for impl, group in groupby(benchmarks, key=lambda benchmark: benchmark.impl):
        pair = entrants(impl)
        workers = [side.worker(target, {}) for side, target in pair]
        try:
            for benchmark in group:
                exercise = benchmark.exercise()
                two = [
                    Contestant(target, worker, exercise, benchmark.mode)
                    for (_, target), worker in zip(pair, workers, strict=True)
                ]
                if not any(contestant.start() for contestant in two):  # else the race says why there is no time
                    yield from _compared(benchmark, two)
        finally:
            for worker in workers:
                worker.stop()


def _compared(benchmark: Benchmark, two: Sequence[Contestant]) -> Iterator[Finding]:
    base, head = (_weighed(contestant) for contestant in two)
    if base is None:
        yield Finding("costs", "harness error", benchmark.name, f"the base has no costs: {two[0].lost}")
    elif head is None:
        yield _finding(benchmark, f"the head has no costs: {two[1].lost}")
    else:
        yield from _dearer(benchmark, base, head)


def _weighed(contestant: Contestant) -> Weighed | None:
    """The weighing with the least peak of several; None if the contestant is lost."""
    found = [weighed for weighed in (contestant.weigh(memory=True) for _ in range(WEIGHINGS)) if weighed is not None]
    if len(found) < WEIGHINGS:
        return None
    return min(found, key=lambda weighed: float("inf") if weighed.peak is None else weighed.peak)


def _dearer(benchmark: Benchmark, base: Weighed, head: Weighed) -> Iterator[Finding]:
    """A finding for each cost that is higher in the head."""
    if base.peak is not None and head.peak is not None and head.peak > base.peak * (1 + SLACK) + PAGES:
        yield _finding(benchmark, f"peak memory of a call {_size(head.peak)}, was {_size(base.peak)}")
    if base.traffic is not None and head.traffic is not None and head.traffic > base.traffic:
        yield _finding(benchmark, f"operations move {_size(head.traffic)}, moved {_size(base.traffic)}")
    if head.programs > base.programs:
        text = f"a repeated call compiles {head.programs} programs anew, compiled {base.programs}"
        yield _finding(benchmark, text)


def _finding(benchmark: Benchmark, text: str) -> Finding:
    return Finding("costs", "regression", benchmark.name, text)


def _size(count: int) -> str:
    return f"{count / 2**20:.2f} MiB"
