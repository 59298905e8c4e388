"""A row of the results of a benchmark, and how times and costs become its figures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..adapters.installed import framework
from ..sandbox.messages import Timed
from .contestant import Contestant
from .machine_limit import INVALID
from .ratio import ratio


@dataclass(frozen=True)
class BenchRow:
    """One implementation in one mode on one loss at one size: a row of the results of a benchmark.

    Times are seconds of a call, sizes are bytes; nan says that there is no such figure.
    """

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
    """Threads that its libraries are told to use."""
    first_call: float = float("nan")
    """The first call, with tracing and compilation where the mode has them."""
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


def with_times(
    row: BenchRow, index: int, base: int | None, times: Sequence[dict[int, Timed]], least: Sequence[float]
) -> BenchRow:
    """The row with the times of the contestant at ``index``.

    ``times`` holds the times of each round by contestant, ``least`` the seconds that the machine needed at least in
    each round, ``base`` the place of the contestant that ratios are taken against, if there is one.
    """
    found = [each[index] for each in times]
    seconds = [each.seconds for each in found]
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    traced = framework(row.framework).mode(row.mode).traced
    row = replace(
        row,
        compilation=max(0.0, row.first_call - median) if traced else float("nan"),
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


def with_costs(row: BenchRow, contestant: Contestant, least: int) -> BenchRow:
    """The row with memory and traffic of a call; ``least`` are the bytes that a call has to move at least."""
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
