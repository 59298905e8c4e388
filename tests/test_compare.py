"""Comparisons decide what can be decided, and nobody gets a time who cheats."""

import json
import os
import signal

import numpy as np
import pytest

from lossmark.sandbox.process import Worker
from lossmark.sandbox.target import targets
from lossmark.specification.library import losses
from lossmark.timing.contestant import Contestant
from lossmark.timing.exercise import Exercise
from lossmark.timing.ratio import LEAST_PAIRS, ratio
from tests.miniatures import HEAD
from tests.processes import lossmark

GUEST = (
    HEAD.format(framework="numpy")
    + """
import threading, time
kept = {{}}
def bpr_of(u, p, n):
    x = np.einsum("bd,bd->b", u, n) - np.einsum("bd,bd->b", u, p)
    return x, np.logaddexp(x, np.float32(0)).mean(dtype=np.float32)
{before}
@impl.loss
def bpr(u, d_pos, d_neg):
    {first}
    x, value = bpr_of(u, d_pos, d_neg)
    {then}
    return value
@impl.gradient("bpr")
def slope(u, d_pos, d_neg):
    x, _ = bpr_of(u, d_pos, d_neg)
    s = (1 / (1 + np.exp(-x)) / len(x))[:, None]
    return {{"u": s * (d_neg - d_pos), "d_pos": -s * u, "d_neg": s * u}}
"""
)
PATCHED = "time.perf_counter = lambda: 0.0\nimport lossmark.sandbox.stopwatch as s; s.perf_counter = time.perf_counter"
CHEATS = {
    "keeps results by identity": {"first": "if id(u) in kept: return kept[id(u)]", "then": "kept[id(u)] = value"},
    "keeps one result": {"first": "if kept: return kept[0]", "then": "kept[0] = value"},
    "changes its input": {"then": "u *= np.float32(0.5)"},
    "is fast and wrong": {"first": "return np.float32(0.5)"},
    "returns before the work is done": {
        "first": "result = np.zeros((), np.float32); w = lambda: (time.sleep(0.05), np.copyto(result, "
        "bpr_of(u, d_pos, d_neg)[1])); threading.Thread(target=w).start(); return result"
    },
}


def compared(guest, folder, *options):
    path = folder / "guest.py"
    path.write_text(GUEST.format(**({"before": "", "first": "", "then": ""} | guest)))
    arguments = ("compare", "numpy", path, "--loss", "bpr", "--size", "256x16", "--format", "json", *options)
    done = lossmark(*arguments, cwd=folder)
    assert done.returncode in (0, 1, 2), done.stderr
    return done.returncode, json.loads(done.stdout)[0]


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_gets_no_time(cheat, tmp_path):
    code, found = compared(CHEATS[cheat], tmp_path)
    assert code == 1
    assert found["verdict"] == "not timed", found
    assert found["reason"].startswith("mini: ")


def test_a_crash_is_told_of_every_loss_it_costs(tmp_path):
    """Also after the process has been given up, and in the midst of the times."""
    source = GUEST.format(
        before="calls = []", first="calls.append(0)\n    if len(calls) > 9: import os; os.abort()", then=""
    )
    for name in ("pairwise_hinge", "contrastive", "contrastive_pair", "labeled_triplet"):
        source += f"\n@impl.loss\ndef {name}(**arguments):\n    import os; os.abort()\n"
    (tmp_path / "guest.py").write_text(source)
    options = ("--size", "256x16", "--pass", "fwd", "--format", "json")
    done = lossmark("compare", "numpy", "guest.py", *options, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert {row["verdict"] for row in found} == {"not timed"}
    assert len(found) == 5


def test_half_of_the_work_is_not_compared_with_all_of_it(tmp_path):
    path = tmp_path / "forward.py"
    path.write_text(GUEST.format(before="", first="", then="").partition("@impl.gradient")[0])
    done = lossmark("compare", "numpy", path, "--loss", "bpr", "--format", "json", cwd=tmp_path)
    assert done.returncode == 1
    assert "no gradient is registered" in json.loads(done.stdout)[0]["reason"]


def test_a_patched_clock_changes_nothing(tmp_path):
    code, found = compared({"before": PATCHED, "then": "time.sleep(0.003)"}, tmp_path)
    assert (code, found["verdict"]) == (1, "slower"), found
    assert found["low"] > 1.05


def test_a_first_call_that_takes_long_does_not_count(tmp_path):
    slow = {"first": "if not kept: time.sleep(0.5); kept[0] = True"}
    _, found = compared(slow, tmp_path)
    assert found["verdict"] != "not timed"
    assert found["median"] < 3, "half a second would be thousands of times the call"


@pytest.mark.parametrize(
    "arguments", [("numpy", "nosuch"), ("numpy", "numpy", "--size", "4x"), ("numpy", "numpy", "--loss", "x")]
)
def test_what_cannot_be_compared_is_a_usage_error(arguments, tmp_path):
    done = lossmark("compare", *arguments, cwd=tmp_path)
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1


def _pairs(slowdown, count=60, spread=0.3):
    generator = np.random.default_rng(7)
    return [(a, b * slowdown) for a, b in np.exp(np.abs(generator.normal(0, spread, (count, 2))))]


def test_the_statistic_decides_what_the_times_support():
    assert ratio(_pairs(1.0, spread=0.05)).verdict == "not slower"
    assert ratio(_pairs(1.3, spread=0.05)).verdict == "slower"
    assert ratio(_pairs(1.05, spread=0.3)).verdict == "undecided"
    assert ratio(_pairs(2.0, count=LEAST_PAIRS - 1)).verdict == "undecided"
    with pytest.raises(ValueError, match="at least two"):
        ratio([(1.0, 1.0)])


def test_the_interval_holds_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(8)
    hits = 0
    for _ in range(200):
        found = ratio([(a, 1.1 * b) for a, b in np.exp(np.abs(generator.normal(0, 0.2, (40, 2))))])
        hits += found.low <= 1.1 <= found.high
    assert hits >= 190


def test_a_process_that_ends_between_two_calls_loses_its_contestant():
    """A new process in its place would not know what is to be timed."""
    (target,) = targets(("numpy",))
    worker = Worker(target.reference)
    contestant = Contestant(target, worker, Exercise(losses()["bpr"], (64, 16)))
    try:
        assert not contestant.start()
        os.killpg(worker._process.pid, signal.SIGKILL)
        worker._process.wait()
        assert contestant.time() is None
        assert "signal 9" in contestant.lost
        assert contestant.finish() == contestant.lost
    finally:
        worker.stop()
