"""Paired, interleaved comparison of two implementations: how many times as long does B take as A?

Both live in processes of their own, with the allocator kept warm (large results are not page-faulted anew at every
call), and are timed in turn, in random order, until the interval of the ratio decides or the time is up. Only what
conforms gets a time: the last call of each is held against the formula, at the very size and dtype that is timed.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from .dtypes import FLOAT32
from .errors import LossmarkError
from .judge import Judgement, combine, judge, slopes
from .judged import explained
from .paired import LEAST_PAIRS, Ratio, ratio
from .plan import Choice, Target, targets
from .pool import Worker
from .spec.loss import Case, Loss
from .stopwatch import batch_of
from .tolerance import expected
from .work import Array, Failure, Returned, Stage, Timed, Timing

WARM = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_TOP_PAD_": "67108864"}
"""glibc's allocator keeps what it is given back, instead of asking the system for fresh pages at every large result."""
BLOCK_SECONDS = 0.005
BLOCKS = 3
BLOCK_BYTES = 256 << 20
BATCHES = 4
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
"""Both times of a pair are taken on one of these, drawn anew for each pair: neighbours may be busier on one of them."""
SECONDS = 40.0
"""What all comparisons of one command may take together, start of the frameworks apart."""
CHECKED_EVERY = 5


@dataclass(frozen=True)
class Compared:
    """One loss at one size: the ratio with its interval, or why there is none."""

    loss: str
    size: str
    passes: str
    ratio: Ratio | None
    reason: str = ""

    @property
    def verdict(self) -> str:
        return "not timed" if self.ratio is None else self.ratio.verdict

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        numbers = asdict(self.ratio) if self.ratio else dict.fromkeys(("median", "low", "high", "pairs"))
        return {
            "loss": self.loss, "size": self.size, "pass": self.passes, "dtype": "float32", **numbers,
            "verdict": self.verdict, "reason": self.reason,
        }  # fmt: skip


def table(a: Target, b: Target, found: Sequence[Compared]) -> Table:
    """The comparisons as people read them."""
    result = Table("loss", "size", "pass", f"time of {b.name} / {a.name}", "99 % interval", "pairs", "verdict")
    for item in found:
        r = item.ratio
        numbers = (f"{r.median:.3f}", f"{r.low:.3f} to {r.high:.3f}", str(r.pairs)) if r else ("–", "–", "–")
        result.add_row(item.loss, item.size, item.passes, *numbers, f"{item.verdict} {item.reason}".strip())
    return result


def one(source: str) -> Target:
    """The implementation that a name, file or ``FILE.py::name`` stands for; raises :class:`LossmarkError`."""
    path, _, name = source.partition("::")
    found = [target for target in targets(Choice(impls=(path,))) if not name or target.name == name]
    if len(found) != 1:
        names = ", ".join(target.name for target in found) or "none of that name"
        raise LossmarkError(f"{source}: expected one implementation, found {names}; choose by {path}::NAME")
    return found[0]


def compare(a: Target, b: Target, losses: Sequence[Loss], size: tuple[int, int], backward: bool) -> Iterator[Compared]:
    """Each loss that both have; raises :class:`LossmarkError` if there is none."""
    common = [loss for loss in losses if a.has(loss) and b.has(loss)]
    if not common:
        raise LossmarkError(f"{a.name} and {b.name} have no loss in common")
    workers = [Worker(target.reference, WARM) for target in (a, b)]
    try:
        for index, loss in enumerate(common):
            yield _compared([a, b], workers, loss, size, backward, SECONDS / len(common), seed=index)
    finally:
        for worker in workers:
            worker.stop()


def _compared(
    pair: Sequence[Target], workers: Sequence[Worker], loss: Loss, size: tuple[int, int], backward: bool,
    seconds: float, seed: int,
) -> Compared:  # fmt: skip
    batches = tuple(_drawn(loss, size, seed) for seed in range(BATCHES))
    shape = "x".join(map(str, size if any(item.vector for item in loss.inputs) else size[:1]))
    place = (loss.id, shape, "fwd+bwd" if backward else "fwd")
    stages, calls = [], []
    for target, worker in zip(pair, workers, strict=True):
        if backward and not target.differentiates(loss):
            return Compared(*place, None, f"{target.name}: no gradient is registered, compare with --pass fwd")
        stage = Stage(target.name, loss.id, batches, loss.gradient_of, backward)
        started = worker.run(stage)
        reason = str(started) if isinstance(started, Failure) else ""
        reason = reason or _refused(worker, stage, loss, target, Timing(BATCHES, 2, show=True))
        if reason:
            return Compared(*place, None, f"{target.name}: {reason}")
        stages.append(stage)
        calls.append(_calls(worker, batches[0]))
    found = _ratio(workers, calls, random.Random(seed), time.monotonic() + seconds)
    for target, worker, stage, count in zip(pair, workers, stages, calls, strict=True):
        reason = _refused(worker, stage, loss, target, Timing(count, BLOCKS, show=True))  # kept results show by now
        if reason:
            return Compared(*place, None, f"{target.name}: {reason}")
    return Compared(*place, found, "" if found else f"one pair of calls takes more than {seconds:.0f} s")


def _ratio(workers: Sequence[Worker], calls: Sequence[int], order: random.Random, until: float) -> Ratio | None:
    """Times pairs until their ratio is decided or it is late; None if there was time for one pair only."""
    times: list[tuple[float, float]] = []
    while True:
        pair = [0.0, 0.0]
        core = order.choice(CORES)
        for which in order.sample((0, 1), 2):
            pair[which] = _timed(workers[which], Timing(calls[which], BLOCKS, core=core)).seconds
        times.append((pair[0], pair[1]))
        late = time.monotonic() > until
        if late or (len(times) >= LEAST_PAIRS and len(times) % CHECKED_EVERY == 0):
            found = ratio(times) if len(times) > 1 else None
            if late or (found and found.verdict != "undecided"):
                return found


def _drawn(loss: Loss, size: tuple[int, int], seed: int) -> Mapping[str, Array]:
    """Standard normal embeddings of unit variance of scores, distances around the margin, labels 0 and 1."""
    generator = np.random.default_rng([seed, *size])
    batch, width = size
    arrays: dict[str, Array] = {}
    for item in loss.inputs:
        if item.label:
            arrays[item.name] = generator.integers(0, 2, batch).astype(np.float32)
        elif item.vector:
            arrays[item.name] = (generator.standard_normal(size) / width**0.5).astype(np.float32)
        else:
            arrays[item.name] = generator.uniform(0, 2, batch).astype(np.float32)
    return arrays


def _timed(worker: Worker, timing: Timing) -> Timed:
    found = worker.run(timing)
    if isinstance(found, Failure) or (isinstance(found, Timed) and isinstance(found.value, Failure)):
        raise LossmarkError(f"{worker.reference.name}: {found if isinstance(found, Failure) else found.value}")
    assert isinstance(found, Timed)
    return found


def _calls(worker: Worker, batch: Mapping[str, Array]) -> int:
    """How many calls make a block long enough for the clock, within a limit of memory for their inputs."""
    seconds = _timed(worker, Timing(1, BLOCKS)).seconds
    most = max(1, BLOCK_BYTES // sum(array.nbytes for array in batch.values()))
    return max(1, min(most, 1000, round(BLOCK_SECONDS / max(seconds, 1e-6))))


def _refused(worker: Worker, stage: Stage, loss: Loss, target: Target, timing: Timing) -> str:
    """Why the implementation gets no time: it raises, it changes its inputs, or what it gives does not conform."""
    found = worker.run(timing)
    if isinstance(found, Failure):
        return str(found)
    assert isinstance(found, Timed)
    if isinstance(found.value, Failure):
        return str(found.value)
    if found.modified:
        return f"a call changes its input {', '.join(found.modified)}"
    result = _judged(found, stage, loss, target)
    return "" if result.ok else f"does not conform: {result.note or explained(result)}"


def _judged(found: Timed, stage: Stage, loss: Loss, target: Target) -> Judgement:
    inputs = {name: array.astype(np.float64) for name, array in batch_of(stage, found.turn).items()}
    deviation = target.deviations.get(loss.id)
    case = Case(f"{loss.id}/timed", loss.id, {}, inputs)
    meant = deviation.meant(case) if deviation else case
    truth = expected(loss, meant, FLOAT32, np.ones(case.batch), ("mean",), deviation.scale if deviation else 1.0)
    assert isinstance(found.value, Returned)
    if found.value.array is None:
        return Judgement(False, note=f"got {found.value.dtype}, expected a tensor")
    parts = [judge(found.value.array, truth.values["mean"], FLOAT32, "mean")]
    if stage.backward:
        if isinstance(found.gradient, Failure):
            return Judgement(False, note=str(found.gradient))
        accepted = truth.gradients["mean"]
        zeros = {name: np.zeros(part.hi.shape) for name, part in accepted.items()}
        parts.append(slopes({**zeros, **found.gradient}, accepted, truth.kinks["mean"], FLOAT32, "gradient of mean"))
    return combine(parts)
