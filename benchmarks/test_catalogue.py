"""The catalogue for pytest-benchmark and its tools: ``pytest benchmarks --benchmark-json FILE``.

One benchmark is one implementation in one mode on one loss at one size. It runs in a process of its own; the seconds
are those that this process has measured, so pytest-benchmark is given a clock that goes on by them. Benchmarks that
follow each other are no comparison on a noisy machine: for that there are ``lossmark bench`` and ``lossmark compare``.
``LOSSMARK_FULL=1`` takes every size and dtype.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lossmark.adapters.installed import framework_version
from lossmark.sandbox.target import targets
from lossmark.specification.library import losses
from lossmark.timing.bench import Candidate, Field, candidates_of
from lossmark.timing.contestant import Contestant
from lossmark.timing.exercise import Exercise
from lossmark.timing.grid import Group, grid

ROUNDS = 10
CANDIDATES = [each for each in candidates_of(targets()) if framework_version(each[0].reference.framework) is not None]
FULL = bool(os.environ.get("LOSSMARK_FULL"))
GROUPS = [group for group in grid(list(losses().values()), (), (), FULL) if group.allocator == "warm"]


class Clock:
    """A clock that shows the seconds that workers have reported so far."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    """The processes of all candidates."""
    with Field(CANDIDATES, "warm") as processes:
        yield processes


def _name(value: object) -> str:
    if isinstance(value, Group):
        size = "x".join(map(str, value.size))
        return f"{value.loss.id}-{size}-{value.dtype}-{'fwd+bwd' if value.backward else 'fwd'}"
    assert isinstance(value, tuple)
    return f"{value[0].name}-{value[1]}"


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize("candidate", CANDIDATES, ids=_name)
@pytest.mark.parametrize("group", GROUPS, ids=_name)
def test_speed(benchmark, field: Field, group: Group, candidate: Candidate) -> None:
    """One benchmark; the first and the last call must conform."""
    exercise = Exercise(group.loss, group.size, group.dtype, group.backward)
    contestant = Contestant(candidate[0], field.worker(candidate), exercise, candidate[1])
    reason = contestant.start()
    assert not reason, f"only what conforms gets a time: {reason}"
    benchmark.group = _name(group)
    benchmark.extra_info |= {"first_call": contestant.first_call, "allocator": field.allocator}

    def call() -> None:
        found = contestant.time()
        assert found is not None, contestant.lost
        CLOCK.now += found.seconds

    benchmark.pedantic(call, rounds=ROUNDS)
    reason = contestant.finish()
    assert not reason, f"only what conforms gets a time: {reason}"
