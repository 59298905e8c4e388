"""The gate passes what is no worse, fails what is, and says so when it cannot say."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from lossmark.gate import costs, formats
from lossmark.gate.benchmark import Benchmark
from lossmark.gate.evidence import ALPHA, Evidence, holm
from lossmark.gate.outcome import Finding, GateOutcome, Race
from lossmark.gate.race import Terms, raced
from lossmark.gate.sides import Side
from lossmark.results import difference as cells
from lossmark.results.cell import Cell
from lossmark.results.record import Results
from lossmark.sandbox.messages import Timed
from lossmark.timing import rounds
from tests.miniatures import HEAD
from tests.processes import lossmark

SOURCE = (
    HEAD.format(framework="numpy")
    + """
@impl.loss
def bpr(u, d_pos, d_neg, *, reduction="mean"):
    floating(u)
    w = np.float64 if u.dtype == np.float64 else np.float32
    x = np.einsum("bd,bd->b", u.astype(w), d_neg.astype(w)) - np.einsum("bd,bd->b", u.astype(w), d_pos.astype(w))
    return np.asarray(reduced(np.logaddexp(x, w(0)), reduction)).astype(u.dtype)
"""
)
CONTRASTIVE = """
@impl.loss
def contrastive(d, y, *, margin=1.0, reduction="mean"):
    floating(d)
    w = np.float64 if d.dtype == np.float64 else np.float32
    y, x = y.astype(w), d.astype(w)
    return np.asarray(reduced(y * x**2 + (1 - y) * np.maximum(w(margin) - x, 0) ** 2, reduction)).astype(d.dtype)
"""
SLOWER = SOURCE.replace("    w =", "    [np.multiply(u, d_pos) for _ in range(8)]\n    w =", 1)
DEARER = SOURCE.replace("    w =", "    np.ones((4 * len(u), u.shape[1]), u.dtype)\n    w =", 1)
WRONG = SOURCE.replace("    w =", "    u = u * u.dtype.type(1.01) if u.dtype == np.float16 else u\n    w =", 1)
CRASHES = SOURCE.replace("    w =", "    if len(u) > 200: raise SystemExit\n    w =", 1)
QUICK = ("--case", "bpr/small*", "--dtype", "float32", "--size", "1024x64", "--seconds", "3")


def gated(folder, base, head, *options):
    """Exit code and record of a gate of one file against another."""
    for name, source in (("base", base), ("head", head)):
        (folder / f"{name}.py").write_text(source)
    done = lossmark("gate", "--base", "base.py", "--impl", "head.py", "--format", "json", *QUICK, *options, cwd=folder)
    assert done.returncode in (0, 1, 2, 3), done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def test_the_same_code_is_never_a_regression(tmp_path):
    code, found = gated(tmp_path, SOURCE, SOURCE)
    assert code in (0, 2), found["findings"]
    assert [race["benchmark"]["loss"] for race in found["benchmarks"]] == ["bpr"]
    assert found["cells"]["base"] == found["cells"]["head"]


@pytest.mark.parametrize(
    ("base", "head", "named"),
    [(SOURCE + CONTRASTIVE, WRONG, {"cells": "float16", "race": "contrastive"}),
     (SOURCE, CRASHES, {"race": "SystemExit"})],
    ids=["wrong in one dtype and without a loss", "crashes"],
)  # fmt: skip
def test_what_is_worse_fails_and_is_named(base, head, named, tmp_path):
    code, found = gated(tmp_path, base, head, "--dtype", "float16")
    assert code == 1, found
    regressions = [item for item in found["findings"] if item["severity"] == "regression"]
    for step, words in named.items():
        texts = [item["text"] + item["subject"] for item in regressions if item["step"] == step]
        assert any(words in text for text in texts), found["findings"]


def entrants(folder, head):
    found = []
    for name, source in (("base", SOURCE), ("head", head)):
        (folder / f"{name}.py").write_text(source)
        side = Side(name, (str(folder / f"{name}.py"),))
        found.append((side, side.targets()["mini"]))
    return lambda impl: tuple(found)


BENCHMARK = Benchmark("mini", "bpr", "eager", (1024, 64), "fwd")


def test_what_is_slower_is_never_passed(tmp_path):
    """Whether it fails or nothing can be said is a matter of the machine: the rates are in gate_power."""
    (slower,) = raced([BENCHMARK], entrants(tmp_path, SLOWER), Terms(seconds=6))
    assert slower.verdict in ("fail", "inconclusive"), slower
    assert slower.ratio.low > 1.05


@pytest.mark.parametrize(
    ("slowdowns", "drift", "verdict"),
    [((1.2, 1.2, 1.2), 1.0, "fail"), ((1.0,), 1.0, "pass"), ((1.2, 1.0, 1.0), 1.0, "pass"),
     ((1.2, 1.2, 1.0), 1.0, "inconclusive"), ((1.2, 1.0, 1.2), 1.0, "inconclusive"), ((1.2,), 1.1, "inconclusive")],
)  # fmt: skip
def test_a_failure_is_confirmed_twice_in_fresh_processes(slowdowns, drift, verdict, tmp_path, monkeypatch):
    """The processes run; their times are made up: a slowdown for each set of processes, a drift of the second base."""
    generator, workers = np.random.default_rng(3), []

    def in_turn(three, order, core):
        workers.extend(each.worker for each in three if each.worker not in workers)
        factors = (1.0, slowdowns[len(workers) // 3 - 1], drift)
        return {i: Timed(x * np.exp(abs(generator.normal(0, 0.02))), 0, None, {}) for i, x in enumerate(factors)}

    monkeypatch.setattr(rounds, "in_turn", in_turn)
    (found,) = raced([BENCHMARK], entrants(tmp_path, SOURCE), Terms(seconds=2))
    assert found.verdict == verdict, found
    assert len(workers) == 3 * len(slowdowns)


def test_what_holds_more_memory_is_found(tmp_path):
    larger = replace(BENCHMARK, size=(4096, 128))
    (dearer,) = costs.compared([larger], entrants(tmp_path, DEARER))
    assert "peak memory" in dearer.text
    assert not list(costs.compared([larger], entrants(tmp_path, SOURCE)))


def test_nothing_to_time_is_no_pass(tmp_path):
    code, found = gated(tmp_path, SOURCE, SOURCE, "--loss", "contrastive", "--case", "*")
    assert code == 3, found


# -- the statistic ---------------------------------------------------------------------------------------------------


def evidence(slowdown=1.0, drift=1.0, spread=0.02, rounds=60, seed=0):
    times = np.exp(np.abs(np.random.default_rng(seed).normal(0, spread, (rounds, 3))))
    return Evidence([(base, head * slowdown, twin * drift) for base, head, twin in times.tolist()])


def test_verdicts_follow_the_times():
    assert evidence().verdict(0.05, ALPHA) == "pass"
    assert evidence(slowdown=0.5).verdict(0.05, ALPHA) == "pass"
    assert evidence(slowdown=1.1).verdict(0.05, ALPHA) == "fail"
    assert evidence(slowdown=1.1).verdict(0.2, ALPHA) == "pass"
    assert evidence(slowdown=1.05, spread=0.1).verdict(0.05, ALPHA) == "undecided"
    assert evidence(slowdown=1.3, drift=1.1).verdict(0.05, ALPHA) == "unfit"
    assert evidence(slowdown=2.0, rounds=10).verdict(0.05, ALPHA) == "undecided"
    assert evidence(slowdown=1.1, rounds=20).verdict(0.05, 1e-9) == "undecided", "not beyond so many others"


def test_levels_of_many_tests_are_those_of_holm():
    assert holm([0.2, 0.001, 0.004], 0.01) == [0.0, 0.01 / 3, 0.005]
    assert holm([0.02, 0.03], 0.01) == [0.0, 0.0]
    assert holm([], 0.01) == []


# -- cells -----------------------------------------------------------------------------------------------------------


def results(*cells, complete=True):
    return Results({"planned": len(cells)}, cells, {"counts": {}} if complete else None)


def a_cell(case="bpr/worked", check="value", verdict="pass", used=0.3, impl="mini"):
    return Cell(impl, "numpy", "cpu", "float32", "eager", "bpr", case, check, verdict, None, used)


def severities(base, head):
    return [(finding.severity, finding.text) for finding in cells.compared(base, head, {})]


def test_cells_are_compared_one_by_one():
    base = results(a_cell(), a_cell("bpr/other"))
    assert not severities(base, base)
    assert severities(base, results(a_cell(), a_cell("bpr/other"), a_cell("bpr/new")))[0][0] == "note"
    for head, words in (
        (results(a_cell()), "case is gone"),
        (results(a_cell(), a_cell("bpr/renamed")), "case is gone"),
        (results(a_cell(), a_cell("bpr/other", verdict="not-run")), "was pass, is not-run"),
        (results(a_cell(), a_cell("bpr/other", used=0.61)), "uses 0.61 of its bound"),
        (results(a_cell(), a_cell("bpr/other"), a_cell("bpr/new", verdict="fail")), "is new, and fail"),
        (results(a_cell(impl="x"), a_cell("bpr/other", impl="x")), "implementation is gone"),
    ):
        assert any(severity == "regression" and words in text for severity, text in severities(base, head)), words
    assert severities(base, results(a_cell(), complete=False))[0][0] == "harness error"
    assert severities(results(), results())[0][0] == "harness error"


def test_what_another_order_of_summation_may_do_is_no_regression():
    for before, after, severity in (
        (0.15, 0.2, None), (0.15, 0.28, "note"), (0.1, 0.5, "note"), (0.3, 0.55, "note"), (0.2, 0.52, "regression"),
        (None, 0.4, "note"), (None, 0.6, "regression"), (0.6, 1.0, "note"),
    ):  # fmt: skip
        found = severities(results(a_cell(used=before)), results(a_cell(used=after)))
        assert [kind for kind, _ in found] == ([severity] if severity else []), (before, after)


# -- formats ---------------------------------------------------------------------------------------------------------


def test_hostile_text_stays_text_in_every_format(tmp_path):
    hostile = '</testsuite><script>alert("1")</script> | [x](y) \x00\x1b ]]> ' + "a" * 1_000_000
    outcome = GateOutcome(hostile, hostile)
    benchmark = Benchmark(hostile, "bpr", "eager", (1, 1), "fwd")
    outcome.races = [Race(benchmark, "fail", reason=hostile), Race(benchmark, "inconclusive", reason=hostile)]
    outcome.add([Finding("cells", "regression", hostile, hostile)])
    suite = ElementTree.fromstring(formats.junit(outcome))
    assert suite.get("failures") == "2"
    assert suite.get("tests") == "3"
    assert "<script>" not in formats.markdown(outcome)
    assert json.loads(formats.as_json(outcome))["exit_code"] == 1
    assert json.loads(formats.badge(outcome))["message"] == "regression"
    for written in (formats.text, formats.markdown, formats.junit):
        assert "\x1b" not in written(outcome)
        assert len(written(outcome)) < 20_000
