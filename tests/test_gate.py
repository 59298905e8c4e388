"""The gate passes what is no worse, fails what is, and says so when it cannot say."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import psutil
import pytest
from ruamel.yaml import YAML

from lossmark.gate import cells, costs, formats
from lossmark.gate.decide import ALPHA, Evidence, holm
from lossmark.gate.outcome import Benchmark, Finding, Outcome, Race
from lossmark.gate.race import Terms, raced
from lossmark.gate.sides import Side
from lossmark.registry import room
from lossmark.results import Cell, Results
from tests.miniatures import HEAD
from tests.test_properties import lossmark

SOURCE = (
    HEAD.format(framework="numpy")
    + """
@impl.loss
def bpr(u, d_pos, d_neg, *, reduction="mean"):
    w = np.float64 if u.dtype == np.float64 else np.float32
    x = np.einsum("bd,bd->b", u.astype(w), d_neg.astype(w)) - np.einsum("bd,bd->b", u.astype(w), d_pos.astype(w))
    return np.asarray(reduced(np.logaddexp(x, w(0)), reduction)).astype(u.dtype)
"""
)
CONTRASTIVE = """
@impl.loss
def contrastive(d, y, *, margin=1.0, reduction="mean"):
    w = np.float64 if d.dtype == np.float64 else np.float32
    y, x = y.astype(w), d.astype(w)
    return np.asarray(reduced(y * x**2 + (1 - y) * np.maximum(w(margin) - x, 0) ** 2, reduction)).astype(d.dtype)
"""
SLOWER = SOURCE.replace("    w =", "    [np.multiply(u, d_pos) for _ in range(40)]\n    w =", 1)
DEARER = SOURCE.replace("    w =", "    np.ones((4 * len(u), u.shape[1]), u.dtype)\n    w =", 1)
WRONG = SOURCE.replace("    w =", "    u = u * u.dtype.type(1.01) if u.dtype == np.float16 else u\n    w =", 1)
CRASHES = SOURCE.replace("    w =", "    if len(u) > 200: raise SystemExit\n    w =", 1)
QUICK = ("--case", "bpr/small*", "--size", "1024x64", "--seconds", "6")


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
    code, found = gated(tmp_path, base, head)
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


def test_what_is_slower_fails_and_what_holds_more_memory_too(tmp_path):
    benchmark = Benchmark("mini", "bpr", "eager", (1024, 64), "fwd")
    (slower,) = raced([benchmark], entrants(tmp_path, SLOWER), Terms(seconds=20))
    assert slower.verdict == "fail", slower
    assert slower.ratio.low > 1.05
    larger = replace(benchmark, size=(4096, 128))
    (dearer,) = costs.compared([larger], entrants(tmp_path, DEARER))
    assert "peak memory" in dearer.text
    assert not list(costs.compared([larger], entrants(tmp_path, SOURCE)))


def test_nothing_to_time_is_no_pass(tmp_path):
    code, found = gated(tmp_path, SOURCE, SOURCE, "--loss", "contrastive", "--case", "*")
    assert code == 3, found


def repository(folder):
    """A repository with an adapter and a package that it imports; returns a function that runs git there."""

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout

    package = folder / "mylib"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "core.py").write_text("FACTOR = 1.0\n")
    adapter = SOURCE.replace("import numpy as np", "import numpy as np\nfrom mylib.core import FACTOR")
    (folder / "adapter.py").write_text(adapter.replace("    x = ", "    u = u * u.dtype.type(FACTOR)\n    x = "))
    (folder / "README.md").write_text("a library\n")
    git("init", "--quiet")
    git("config", "user.email", "somebody@example.com")
    git("config", "user.name", "Somebody")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    return git


def test_a_revision_is_checked_out_with_its_own_package_and_removed_again(tmp_path):
    git = repository(tmp_path)
    (tmp_path / "mylib" / "core.py").write_text("FACTOR = 1.5\n")
    options = ("gate", "--base", "HEAD", "--impl", "adapter.py", "--format", "json", *QUICK)
    done = lossmark(*options, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert done.returncode == 1, found
    assert any("was pass, is fail" in item["text"] for item in found["findings"])
    assert "uncommitted" in found["head"]
    assert git("worktree", "list").count("\n") == 1
    assert not git("status", "--porcelain", "--untracked-files=no").replace(" M mylib/core.py", "").strip()


def test_documentation_alone_passes_and_no_revision_is_a_usage_error(tmp_path):
    repository(tmp_path)
    (tmp_path / "README.md").write_text("a library, described\n")
    assert lossmark("gate", "--base", "HEAD", "--impl", "adapter.py", cwd=tmp_path).returncode == 0
    for wrong in (("--base", "nosuch", "--impl", "adapter.py"), ("--base", "HEAD"), ("--base", "adapter.py")):
        done = lossmark("gate", *wrong, cwd=tmp_path)
        assert done.returncode == 3
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_gate_leaves_nothing(number, tmp_path):
    git = repository(tmp_path)
    (tmp_path / "adapter.py").write_text((tmp_path / "adapter.py").read_text() + "\n# changed\n")
    variables = os.environ | {"TMPDIR": str(tmp_path / "scratch")}
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, "-m", "lossmark", "gate", "--base", "HEAD", "--impl", "adapter.py"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, env=variables) as gate:
        process = psutil.Process(gate.pid)
        until = time.monotonic() + 60
        while not any("lossmark.worker" in command_of(child) for child in children(process)):
            assert time.monotonic() < until
            time.sleep(0.05)
        started = children(process)
        gate.send_signal(number)
        gate.communicate(timeout=60)
    assert gate.returncode == 3
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive
    assert git("worktree", "list").count("\n") == 1
    assert not list((tmp_path / "scratch").glob("lossmark-gate-*"))


def children(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def command_of(process):
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


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
        (results(a_cell(), a_cell("bpr/other", used=0.46)), "uses 0.46 of its bound"),
        (results(a_cell(), a_cell("bpr/other"), a_cell("bpr/new", verdict="fail")), "is new, and fail"),
        (results(a_cell(impl="x"), a_cell("bpr/other", impl="x")), "implementation is gone"),
    ):
        assert any(severity == "regression" and words in text for severity, text in severities(base, head)), words
    assert severities(base, results(a_cell(), complete=False))[0][0] == "harness error"
    assert severities(results(), results())[0][0] == "harness error"


# -- formats ---------------------------------------------------------------------------------------------------------


def test_hostile_text_stays_text_in_every_format(tmp_path):
    hostile = '</testsuite><script>alert("1")</script> | [x](y) \x00\x1b ]]> ' + "a" * 1_000_000
    outcome = Outcome(hostile, hostile)
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


# -- where people meet it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "tolerated", "exits"), [(0, "pass", 0), (1, "pass", 1), (2, "pass", 0), (2, "fail", 2), (3, "pass", 3)]
)
def test_the_action_tells_the_outcome_of_the_gate(code, tolerated, exits, tmp_path):
    action = YAML(typ="safe").load(Path(__file__).parents[1] / "action.yml")
    (step,) = [step for step in action["runs"]["steps"] if step.get("id") == "gate"]
    stub = tmp_path / "python"
    stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > arguments\necho "# a summary"\nexit {code}\n')
    stub.chmod(0o755)
    given = {"IMPL": "a file.py\nother.py\n", "OUTPUT": "out", "BASE": "$(touch hacked)", "THRESHOLD": "0.05"}
    given |= {"SIZE": "64x16", "INSTALL": "", "INCONCLUSIVE": tolerated, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    files = {name: str(tmp_path / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], cwd=tmp_path, env=given | files, check=False)
    assert done.returncode == exits
    words = ["pass", "regression", "inconclusive", "harness error"]
    assert (tmp_path / "GITHUB_OUTPUT").read_text() == f"verdict={words[code]}\n"
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text() == "# a summary\n"
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert {"--impl=a file.py", "--impl=other.py", "$(touch hacked)"} <= set(arguments)
    assert not (tmp_path / "hacked").exists()


def test_the_hook_refuses_a_value_that_is_not_certified(tmp_path):
    hook = YAML(typ="safe").load(Path(__file__).parents[1] / ".pre-commit-hooks.yaml")[0]
    specs = tmp_path / "specs"
    specs.mkdir()
    text = (room("specs") / "contrastive.yaml").read_text(encoding="utf-8")
    command = [sys.executable, "-m", *hook["entry"].split(), *hook["args"]]
    for changed, code in ((text, 0), (text.replace('mean: "0x1', 'mean: "0x2', 1), 1)):
        (specs / "contrastive.yaml").write_text(changed, encoding="utf-8")
        assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == code
