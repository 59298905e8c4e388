"""Rounds of times go on as long as they are told to, and leave out who is lost."""

import random

from lossmark.sandbox.messages import Timed
from lossmark.timing.rounds import timed_rounds


class Runner:
    """A contestant whose times are made up; it is lost after some of them."""

    def __init__(self, seconds, lives=1000):
        self.seconds, self.lives, self.cores = seconds, lives, []

    def time(self, core=None):
        self.lives -= 1
        self.cores.append(core)
        return Timed(self.seconds, 0, None, {}) if self.lives >= 0 else None


def test_rounds_are_as_many_as_are_asked_for():
    assert len(list(timed_rounds([Runner(1.0)], most=5))) == 5
    assert len(list(timed_rounds([Runner(1.0)], seconds=0.0, least=3))) == 3
    assert len(list(timed_rounds([Runner(1.0)], seconds=0.0, least=3, most=2))) == 2


def test_a_round_has_the_times_of_who_is_not_lost_by_place():
    runners = [Runner(1.0), Runner(2.0, lives=1), Runner(3.0)]
    first, second = timed_rounds(runners, random.Random(0), most=2)
    assert {place: found.seconds for place, found in first.items()} == {0: 1.0, 1: 2.0, 2: 3.0}
    assert sorted(second) == [0, 2]


def test_a_round_is_taken_on_one_processor_after_what_comes_before():
    runners, begun = [Runner(1.0), Runner(2.0)], []
    rounds = timed_rounds(runners, random.Random(1), most=20, cores=(3, 5), before=lambda: begun.append(len(begun)))
    assert len(list(rounds)) == len(begun) == 20
    assert runners[0].cores == runners[1].cores
    assert set(runners[0].cores) == {3, 5}
