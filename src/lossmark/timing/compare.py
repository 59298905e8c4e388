"""Paired, interleaved comparison of two implementations: how many times as long does B take as A?

Both live in processes of their own, with the allocator kept warm (large results are not page-faulted anew at every
call), and are timed in turn, in random order, until the interval of the ratio decides or the time is up. Only what
conforms gets a time (see :mod:`lossmark.timing.contestant`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from ..errors import LossmarkError
from ..sandbox.process import Worker
from ..sandbox.target import Target
from ..specification.loss import Loss
from .contestant import WARM, Contestant
from .exercise import Exercise
from .ratio import LEAST_PAIRS, Ratio, ratio
from .rounds import CORES, timed_rounds

SECONDS = 40.0
"""How long all comparisons of one command may take together, beside the start of the frameworks."""
PAIRS_PER_LOOK = 5
"""Pairs between two looks at what the times say."""


@dataclass(frozen=True)
class Compared:
    """The comparison on one loss at one size: the ratio with its interval, or the reason why there is none."""

    loss: str
    size: str
    passes: str
    ratio: Ratio | None
    reason: str = ""

    @property
    def verdict(self) -> str:
        """That of the ratio, or ``not timed``."""
        return "not timed" if self.ratio is None else self.ratio.verdict

    def record(self) -> dict[str, Any]:
        """The comparison as a JSON object."""
        numbers = asdict(self.ratio) if self.ratio else dict.fromkeys(("median", "low", "high", "pairs"))
        return {
            "loss": self.loss, "size": self.size, "pass": self.passes, "dtype": "float32", **numbers,
            "verdict": self.verdict, "reason": self.reason,
        }  # fmt: skip


def table(a: Target, b: Target, found: Sequence[Compared]) -> Table:
    """The comparisons of B with A as a table to be printed."""
    result = Table("loss", "size", "pass", f"time of {b.name} / {a.name}", "99 % interval", "pairs", "verdict")
    for item in found:
        r = item.ratio
        numbers = (f"{r.median:.3f}", f"{r.low:.3f} to {r.high:.3f}", str(r.pairs)) if r else ("–", "–", "–")
        result.add_row(item.loss, item.size, item.passes, *numbers, f"{item.verdict} {item.reason}".strip())
    return result


def compare(a: Target, b: Target, losses: Sequence[Loss], size: tuple[int, int], backward: bool) -> Iterator[Compared]:
    """Compare B with A on each loss that both have, in float32 at ``size`` (batch, dimensions).

    Raises :class:`LossmarkError` if they have no loss in common.
    """
    common = [loss for loss in losses if a.has(loss) and b.has(loss)]
    if not common:
        raise LossmarkError(f"{a.name} and {b.name} have no loss in common")
    workers = [Worker(target.reference, WARM) for target in (a, b)]
    try:
        for index, loss in enumerate(common):
            exercise = Exercise(loss, size, backward=backward)
            pair = [Contestant(target, worker, exercise) for target, worker in zip((a, b), workers, strict=True)]
            yield _compared(exercise, pair, SECONDS / len(common), random.Random(index))
    finally:
        for worker in workers:
            worker.stop()


def _compared(exercise: Exercise, pair: Sequence[Contestant], seconds: float, order: random.Random) -> Compared:
    place = (exercise.loss.id, exercise.shape, exercise.passes)
    if exercise.too_large:
        return Compared(*place, None, exercise.too_large)
    for contestant in pair:
        reason = contestant.start()
        if reason:
            return Compared(*place, None, f"{contestant.target.name}: {reason}")
    found = _ratio(pair, order, seconds)
    for contestant in pair:
        reason = contestant.finish()
        if reason:
            return Compared(*place, None, f"{contestant.target.name}: {reason}")
    return Compared(*place, found, "" if found else f"one pair of calls takes more than {seconds:.0f} s")


def _ratio(pair: Sequence[Contestant], order: random.Random, seconds: float) -> Ratio | None:
    """Times pairs until their ratio is decided or the time is up; None if there is one pair only, or one is lost."""
    times: list[tuple[float, float]] = []
    for found in timed_rounds(pair, order, seconds=seconds, cores=CORES):
        if len(found) < len(pair):
            return None
        times.append((found[0].seconds, found[1].seconds))
        if len(times) >= LEAST_PAIRS and len(times) % PAIRS_PER_LOOK == 0:
            supported = ratio(times)
            if supported.verdict != "undecided":
                return supported
    return ratio(times) if len(times) > 1 else None
