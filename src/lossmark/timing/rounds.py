"""Rounds of times: the contestants take turns, in random order, until enough rounds are taken or the time is up.

This is the only place where contestants are timed in a loop: a quick timing, a benchmark, a comparison and a gate
differ in how long they go on and in what they make of the times.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from ..sandbox.messages import Timed

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
"""The processors that times are taken on where a round is bound to one: neighbours may be busier on one of them."""


class Timeable(Protocol):
    """What can be timed: ``time`` gives one time, on one processor if ``core`` names it, or None where it has none."""

    def time(self, core: int | None = None) -> Timed | None:
        """One time."""


def in_turn(
    contestants: Sequence[Timeable], order: random.Random | None = None, core: int | None = None
) -> dict[int, Timed]:
    """One time of each contestant that has one, by its place; in random order, or as they stand without ``order``."""
    places = range(len(contestants))
    turns = places if order is None else order.sample(places, len(places))
    times = {place: contestants[place].time(core) for place in turns}
    return {place: found for place, found in times.items() if found is not None}


def timed_rounds(
    contestants: Sequence[Timeable],
    order: random.Random | None = None,
    *,
    seconds: float = math.inf,
    least: int = 1,
    most: float = math.inf,
    cores: Sequence[int] = (),
    before: Callable[[], object] | None = None,
) -> Iterator[dict[int, Timed]]:
    """Rounds of :func:`in_turn`, for some ``seconds`` but at least ``least`` rounds, and at most ``most``.

    With ``cores`` the times of a round are taken on one of these processors, drawn anew for each round. ``before`` is
    called at the beginning of each round.
    """
    until = time.monotonic() + seconds
    number = 0
    while number < most and (number < least or time.monotonic() < until):
        if before is not None:
            before()
        core = order.choice(cores) if order is not None and cores else None
        yield in_turn(contestants, order, core)
        number += 1
