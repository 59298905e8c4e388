"""``pytest conformance`` catches wrong implementations, accuses no right one, and accounts for every cell."""

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import CancelledError
from pathlib import Path

import psutil
import pytest

from lossmark.adapters.installed import framework_version
from lossmark.adapters.registry import own_implementations
from lossmark.results.record import read
from lossmark.rooms import room
from lossmark.sandbox.target import discover, targets
from lossmark.specification.library import losses
from lossmark.suite.plan import Choice, plan
from lossmark.suite.suite import Suite
from tests.miniatures import FAULTY, HEAD, RIGHT, WRONG
from tests.processes import awaited, children, finished, started

pytestmark = pytest.mark.skipif(framework_version("torch") is None, reason="the miniatures are written for torch")


IMPATIENT = """
import sys, pytest
from lossmark.sandbox.limits import Limits
from lossmark.sandbox.process import Worker
Worker.limits = Limits(cell=4.0, idle=3.0)
sys.exit(pytest.main())
"""
"""pytest with shorter limits, for guests that hang: each hang is waited for six times before its guest is given up."""


def conformance(*arguments, cwd, program=("-m", "pytest"), **environment):
    command = [sys.executable, *program, str(room("conformance")), "-q", "-p", "no:cacheprovider", *arguments]
    variables = os.environ | {"LOSSMARK_REQUIRE": ""} | environment
    return finished(command, cwd=cwd, env=variables)


def held(source, folder, *arguments, **options):
    path = folder / "mini.py"
    path.write_text(source)
    results = folder / "results.jsonl"
    done = conformance("--impl", str(path), "--results", str(results), *arguments, cwd=folder, **options)
    return done, read(results)


@pytest.mark.parametrize("name", RIGHT)
def test_right_implementations_pass(name, tmp_path):
    done, results = held(RIGHT[name], tmp_path)
    wrong = [cell for cell in results.cells if cell.verdict in ("fail", "error")]
    assert not wrong, wrong[:3]
    assert done.returncode == 0, done.stdout[-2000:]
    assert results.complete
    assert results.counts["pass"] + results.counts["deviates"] > 50


@pytest.mark.parametrize("name", WRONG)
def test_wrong_implementations_are_caught(name, tmp_path):
    done, results = held(WRONG[name], tmp_path, "--dtype", "float64")
    assert done.returncode == 1, done.stdout[-2000:]
    assert results.complete
    assert results.counts["fail"] > 0


@pytest.mark.parametrize("name", FAULTY)
def test_faulty_implementations_cost_their_own_cells_only(name, tmp_path):
    options = ("--dtype", "float32", "--case", "bpr/generic*")
    done, results = held(FAULTY[name], tmp_path, *options, program=("-c", IMPATIENT))
    assert done.returncode == 1
    assert results.complete
    assert sum(results.counts.values()) == results.header["planned"]
    returned = "unmodified" if name == "returns text" else ""  # what never returned passes nothing
    assert {cell.check for cell in results.cells if cell.verdict == "pass"} <= {returned}
    assert any("mini" in cell.detail for cell in results.cells if cell.verdict == "error") or results.counts["fail"]


def test_temporary_files_of_a_guest_end_with_its_process(tmp_path):
    """It is killed, so that it cannot remove them itself: TensorFlow's AutoGraph writes one for each function."""
    told = tmp_path / "told"
    source = (
        HEAD.format(framework="numpy")
        + f"""
import tempfile
@impl.loss
def contrastive(d, y):
    open({str(told)!r}, "a").write(tempfile.mkdtemp() + chr(10))
    return d.sum()
"""
    )
    held(source, tmp_path, "--dtype", "float32", "--case", "contrastive/worked")
    folders = told.read_text().split()
    assert folders
    assert not any(Path(folder).exists() for folder in folders)


def test_a_failure_says_how_to_repeat_it(tmp_path):
    done, _ = held(WRONG["half"], tmp_path, "--dtype", "float32", "--case", "contrastive/worked")
    text = done.stdout
    assert "got 0.125 (0x1.0000000000000p-3), expected 0.25" in text
    repeat = next(line for line in text.splitlines() if line.strip().startswith("repeat")).split(maxsplit=1)[1]
    assert "--case contrastive/worked" in repeat
    words = [word.strip("'") for word in repeat.split()[2:]]
    assert conformance(*words, cwd=tmp_path).returncode == 1


def test_a_framework_that_is_not_there_is_not_run(tmp_path):
    """With an import hook that hides torch: reported, or refused where it is required."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n_find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else _find(name, *a)\n"
    )
    path = {"PYTHONPATH": str(tmp_path)}
    results = tmp_path / "r.jsonl"
    options = ("--impl", "torch", "--impl", "numpy", "--case", "bpr/worked", "--results", str(results))
    assert conformance(*options, cwd=tmp_path, **path).returncode == 0
    torch = [cell for cell in read(results).cells if cell.impl == "torch"]
    assert torch
    assert {(cell.verdict, cell.detail) for cell in torch} == {("not-run", "torch is not installed")}
    assert conformance(*options, cwd=tmp_path, **path, LOSSMARK_REQUIRE="torch").returncode == 3


def test_xdist_gives_the_same_cells(tmp_path):
    results = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for path, extra in zip(results, ((), ("-n", "2")), strict=True):
        options = ("--impl", "numpy", "--loss", "contrastive", "--results", str(path), *extra)
        assert conformance(*options, cwd=tmp_path).returncode == 0
    one, two = (Counter((c.case, c.dtype, c.check, c.verdict) for c in read(path).cells) for path in results)
    assert one == two


@pytest.mark.parametrize("name", own_implementations())
def test_what_the_source_of_an_own_implementation_registers_is_what_it_has(name):
    """A loss that only the plain implementation of a framework has is asked of that one alone."""
    if framework_version(own_implementations()[name].name) is None:
        pytest.skip("its framework is not installed")
    (loaded,) = discover(name)
    (target,) = targets((name,))
    assert set(target.losses) == set(loaded.losses)
    assert [target.has(loss) for loss in losses().values()] == [loss in loaded.losses for loss in losses()]


def test_options_do_not_leak_into_other_projects(tmp_path):
    (tmp_path / "test_other.py").write_text("def test_nothing(): pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "--device", "cpu", str(tmp_path)]
    assert subprocess.run(command, capture_output=True, check=False, cwd=tmp_path).returncode == 4


def test_a_suite_that_is_closed_leaves_nobody_waiting():
    runs = plan(losses(), Choice(impls=("numpy",), losses=("bpr",), dtypes=("float64",)))
    suite = Suite(runs)
    suite.close()
    with pytest.raises(CancelledError):
        suite.cells(runs[-1])


def test_a_judge_that_is_killed_takes_a_worker_that_hangs_with_it(tmp_path):
    hangs = "import pathlib, time; pathlib.Path('called').touch(); time.sleep(1e6)"
    source = HEAD.format(framework="numpy") + f"@impl.loss\ndef bpr(u, d_pos, d_neg):\n    {hangs}\n"
    (tmp_path / "mini.py").write_text(source)
    with started([sys.executable, "-m", "lossmark", "check", "--impl", "mini.py"], cwd=tmp_path) as judge:
        awaited((tmp_path / "called").exists)
        left = children(judge.pid)
        judge.kill()
    assert left
    _, alive = psutil.wait_procs(left, timeout=10)
    assert not alive
