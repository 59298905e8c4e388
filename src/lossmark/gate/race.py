"""Times of both sides: three processes of an implementation in turn, until the times are enough or it is late.

What is found slower is raced again in fresh processes, because the layout of a process's memory alone can make a
lasting difference; only what is slower there too fails.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from types import TracebackType

from ..sandbox.process import Worker
from ..sandbox.target import Target
from ..specification.library import losses
from ..timing.compare import CORES
from ..timing.contestant import WARM, Contestant, Exercise, in_turn
from .evidence import ALPHA, Evidence, holm
from .outcome import Benchmark, Race
from .sides import Side

CHECKED_EVERY = 10
CONFIRMATIONS = 2
"""One was not enough: the same code was seen 8 % slower in two sets of processes, beside three busy ones."""
UNFIT = "the base seems to differ from itself by more than 5 %: the machine is not fit for a verdict"
UNSURE = "the times do not decide within their budget"
UNCONFIRMED = "slower, but not in fresh processes"


@dataclass(frozen=True)
class Terms:
    """What counts as slower, and how long may be spent on one benchmark."""

    threshold: float = 0.05
    seconds: float = 30.0


class Track:
    """The three processes of one implementation: base, head, base again; a context manager."""

    def __init__(self, base: tuple[Side, Target], head: tuple[Side, Target]):
        self.targets = (base[1], head[1], base[1])
        self._workers: list[Worker] = [side.worker(target, WARM) for side, target in (base, head, base)]

    def __enter__(self) -> Track:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.stop()

    def race(self, benchmark: Benchmark, terms: Terms, alpha: float) -> tuple[Race, Evidence]:
        """One benchmark, raced until it is decided or its time is up."""
        exercise = exercise_of(benchmark)
        three = [Contestant(t, w, exercise, benchmark.mode) for t, w in zip(self.targets, self._workers, strict=True)]
        evidence = Evidence()
        reasons = [contestant.start() for contestant in three]
        if not any(reasons):
            self._collect(three, evidence, terms, alpha)
            reasons = [contestant.finish() for contestant in three]
        if any(reasons):
            return _untimed(benchmark, three, reasons), evidence
        return _raced(benchmark, evidence, terms, alpha), evidence

    def _collect(self, three: Sequence[Contestant], evidence: Evidence, terms: Terms, alpha: float) -> None:
        """Rounds until two looks in a row say the same: looking often makes any one of them wrong more often."""
        order, until, before = random.Random(0), time.monotonic() + terms.seconds, "undecided"
        while time.monotonic() < until or len(evidence.rounds) < 2:
            core = order.choice(CORES)
            found = in_turn(three, order, core)
            if len(found) < 3:
                return
            evidence.rounds.append((found[0].seconds, found[1].seconds, found[2].seconds))
            if len(evidence.rounds) % CHECKED_EVERY == 0:
                now = evidence.verdict(terms.threshold, alpha)
                if now == before and now in ("pass", "fail"):
                    return
                before = now


def _untimed(benchmark: Benchmark, three: Sequence[Contestant], reasons: Sequence[str]) -> Race:
    """Why there are no times: a failure if only the head has none; a base that crashes is no base to compare with."""
    base, head = reasons[0] or reasons[2], reasons[1]
    if head and not base:
        return Race(benchmark, "fail", reason=f"the head gets no time: {head}")
    crashed = three[0].lost or three[2].lost
    return Race(benchmark, "crashed" if crashed else "not timed", reason=f"the base gets no time: {base}")


def _raced(benchmark: Benchmark, evidence: Evidence, terms: Terms, alpha: float) -> Race:
    verdict = evidence.verdict(terms.threshold, alpha)
    figures = (evidence.ratio, evidence.drift, evidence.means)
    if verdict in ("undecided", "unfit"):
        return Race(benchmark, "inconclusive", *figures, UNFIT if verdict == "unfit" else UNSURE)
    return Race(benchmark, "fail" if verdict == "fail" else "pass", *figures)


def exercise_of(benchmark: Benchmark) -> Exercise:
    """The inputs of a benchmark, the same for both sides."""
    return Exercise(losses()[benchmark.loss], benchmark.size, backward=benchmark.passes == "fwd+bwd")


Entrants = Callable[[str], tuple[tuple[Side, Target], tuple[Side, Target]]]
"""The base's and the head's implementation of a name."""


def raced(benchmarks: Sequence[Benchmark], entrants: Entrants, terms: Terms) -> Iterator[Race]:
    """Every benchmark once, those of one implementation in the same processes; what is slower is confirmed at the end.

    A race ends early where its p-value counts beside any others; what was undecided is seen again beside all of them.
    """
    left: list[tuple[int, Race, Evidence]] = []
    values: list[float] = []
    for race, evidence in _all(benchmarks, entrants, terms, ALPHA / max(1, len(benchmarks))):
        if race.ratio is None:
            yield race
            continue
        values.append(evidence.p)
        if race.verdict == "fail" or race.reason == UNSURE:
            left.append((len(values) - 1, race, evidence))
        else:
            yield race
    levels = holm(values)
    for index, race, evidence in left:
        again = _raced(race.benchmark, evidence, terms, levels[index])
        yield _confirmed(again, entrants, terms) if again.verdict == "fail" else race


def _all(
    benchmarks: Iterable[Benchmark], entrants: Entrants, terms: Terms, alpha: float
) -> Iterator[tuple[Race, Evidence]]:
    for impl, group in groupby(benchmarks, key=lambda benchmark: benchmark.impl):
        with Track(*entrants(impl)) as track:
            for benchmark in group:
                yield track.race(benchmark, terms, alpha)


def _confirmed(race: Race, entrants: Entrants, terms: Terms) -> Race:
    """The race again, twice, in fresh processes: what is slower there too fails, what is not slower in both passes."""
    found: list[Race] = []
    for _ in range(CONFIRMATIONS):
        with Track(*entrants(race.benchmark.impl)) as track:
            again, _ = track.race(race.benchmark, terms, ALPHA)
        found.append(again)
        if again.verdict not in ("fail", "pass") or again.verdict != found[0].verdict:
            return replace(race, verdict="inconclusive", reason=f"{UNCONFIRMED} ({_words(again)})")
    return replace(found[-1], means=race.means)


def _words(race: Race) -> str:
    return race.reason or (f"there × {race.ratio.median:.3f}" if race.ratio else race.verdict)
