"""A quick timing for the report: ratios of lossmark's own implementations inside one run, interleaved.

Not a benchmark: eager mode, float32, one size, the allocator's defaults. It says which framework is how many times
as slow as the fastest here and now, and nothing about any other machine.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from lossmark.adapters.installed import framework_version
from lossmark.sandbox.messages import Stage, Timed, Timing
from lossmark.sandbox.process import Worker
from lossmark.sandbox.target import Target, targets
from lossmark.specification.inputs import positive
from lossmark.specification.library import losses
from lossmark.specification.loss import Loss
from lossmark.timing.rounds import timed_rounds

BATCH, WIDTH, ROUNDS, CALLS = 4096, 64, 7, 3


@dataclass(frozen=True)
class Quick:
    """Median time of loss and gradient over that of the fastest implementation, by loss and implementation."""

    what: str
    ratios: Mapping[str, Mapping[str, float]]


def measure() -> Quick:
    """Time every installed implementation on every loss; implementations take turns in every round."""
    found = [target for target in targets() if framework_version(target.reference.framework)]
    workers = {target.name: Worker(target.reference) for target in found}
    ratios: dict[str, dict[str, float]] = {}
    try:
        for loss in losses().values():
            times = _times(loss, found, workers)
            if times:
                fastest = min(times.values())
                ratios[loss.id] = {name: time / fastest for name, time in times.items()}
    finally:
        for worker in workers.values():
            worker.stop()
    return Quick(f"loss and gradient, eager, float32, B={BATCH}, D={WIDTH}, median of {ROUNDS} rounds", ratios)


@dataclass(frozen=True)
class _Unchecked:
    """An implementation that is timed without being held against the formula: the conformance run has done that."""

    worker: Worker

    def time(self, core: int | None = None) -> Timed | None:
        """One time, or None of a worker that is lost."""
        answer = self.worker.run(Timing(CALLS, 1, core=core))
        return answer if isinstance(answer, Timed) else None


def _times(loss: Loss, found: list[Target], workers: Mapping[str, Worker]) -> dict[str, float]:
    """Median seconds of a call by implementation, of those that give any times."""
    inputs = positive(loss, (BATCH, WIDTH))
    for target in found:
        workers[target.name].run(Stage(target.name, loss.id, (inputs,), loss.gradient_of))
    racing = [_Unchecked(workers[target.name]) for target in found]
    _, *rounds = timed_rounds(racing, most=ROUNDS + 1)  # the first round warms up
    times = {
        target.name: [each[place].seconds for each in rounds if place in each] for place, target in enumerate(found)
    }
    return {name: statistics.median(seconds) for name, seconds in times.items() if seconds}
