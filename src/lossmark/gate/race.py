"""Times of both sides: three processes of an implementation in turn, until the times are enough or it is late.

What is found slower is raced again in fresh processes, because the layout of a process's memory alone can make a
lasting difference; only what is slower there too fails.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from types import TracebackType

from ..sandbox.process import Worker
from ..sandbox.target import Target
from ..timing.contestant import WARM, Contestant
from ..timing.rounds import CORES, timed_rounds
from .benchmark import Benchmark, Entrants
from .evidence import ALPHA, Evidence, holm
from .outcome import Race
from .sides import Side

ROUNDS_PER_LOOK = 10
"""Rounds between two looks at what the times say."""
CONFIRMATIONS = 2
"""Races in fresh processes that confirm a failure. One is not enough: beside three busy processes the same code was
measured 8 % slower in two sets of processes."""
UNFIT = "the base seems to differ from itself by more than 5 %: the machine is not fit for a verdict"
UNSURE = "the times do not decide within their budget"
UNCONFIRMED = "slower, but not in fresh processes"


@dataclass(frozen=True)
class Terms:
    """The share beyond which slower counts, and the seconds that one benchmark may take."""

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
        exercise = benchmark.exercise()
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
        before = "undecided"
        for found in timed_rounds(three, random.Random(0), seconds=terms.seconds, least=2, cores=CORES):
            if len(found) < 3:
                return
            evidence.rounds.append((found[0].seconds, found[1].seconds, found[2].seconds))
            if len(evidence.rounds) % ROUNDS_PER_LOOK == 0:
                now = evidence.verdict(terms.threshold, alpha)
                if now == before and now in ("pass", "fail"):
                    return
                before = now


def _untimed(benchmark: Benchmark, three: Sequence[Contestant], reasons: Sequence[str]) -> Race:
    """The race that has no times: the head fails if only it has none; with a base that has none nothing is compared."""
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


def raced(benchmarks: Sequence[Benchmark], entrants: Entrants, terms: Terms) -> Iterator[Race]:
    """Race every benchmark once, those of one implementation in the same processes; confirm at the end what is slower.

    A race ends early if its p-value counts whatever those of the others are; an undecided one is judged again at the
    end, beside all of them.
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
    """Race twice again in fresh processes: what is slower in both too fails, what is slower in neither passes."""
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
