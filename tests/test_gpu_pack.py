"""The pack for a GPU that is offline: what its scripts say and refuse, and what is kept of runs on a device."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from lossmark.reports import results_pages
from lossmark.reports.measured import data, record
from lossmark.reports.measured.__main__ import keep

from lossmark.errors import LossmarkError
from lossmark.results.cell import Cell
from lossmark.results.environment import environment
from lossmark.results.record import Recorder

ROOT = Path(__file__).parents[1]
GPU = ROOT / "benchmarks" / "gpu"


def script(name, *arguments, **variables):
    return subprocess.run(
        [GPU / name, *arguments], capture_output=True, text=True, check=False, env=os.environ | variables
    )


def cells(path, impl, *verdicts, planned=None, end=True):
    """A results file of one implementation on a device; without its end where the run was stopped."""
    with path.open("w", encoding="utf-8") as stream:
        recorder = Recorder(stream)
        recorder.header(planned or len(verdicts), environment({"torch": "2.0"}, {}))
        for number, (mode, check, verdict, used) in enumerate(verdicts):
            place = (impl, "torch", "gpu", "float32", mode, "bpr", f"bpr/case-{number}", check)
            recorder.cells([Cell(*place, verdict, 1.5, used, "x" * 1000 * (verdict != "pass")).record()])
        if end:
            recorder.footer()
    return path


@pytest.mark.parametrize("name", ["prepare", "run"])
def test_a_script_says_how_it_is_used(name):
    done = script(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: {name} [")
    assert subprocess.run(["bash", "-n", GPU / name], check=False).returncode == 0


def test_without_a_pack_nothing_is_run(tmp_path):
    clone = tmp_path / "benchmarks" / "gpu"
    clone.mkdir(parents=True)
    (clone / "run").write_text((GPU / "run").read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(["bash", clone / "run", tmp_path / "out"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "run benchmarks/gpu/prepare where there is a network" in done.stdout


def test_what_stays_at_home_is_still_a_need():
    """A name that was a dependency once would keep nothing back, and its successor would be carried."""
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[<>=!~ ]", need)[0] for need in needs}
    stay = re.search(r"STAY = \{(.*?)\}", (GPU / "prepare").read_text(encoding="utf-8")).group(1)
    assert {"altair", "numpy"} <= set(re.findall(r'"([\w-]+)"', stay)) <= names


def test_what_runs_there_imports_nothing_that_stays_at_home():
    """The code for pages is not loaded by conformance, by the bench and by what keeps results."""
    code = (
        "import sys\n"
        "for name in ('altair', 'vl_convert', 'tensorflow'): sys.modules[name] = None\n"
        "import lossmark.reports.measured.__main__, lossmark.suite.plugin, lossmark.cli.main, lossmark.timing.request\n"
        "import lossmark.timing.table, lossmark.worker\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_that_was_stopped_is_kept_with_what_it_judged(tmp_path):
    whole = cells(
        tmp_path / "torch.jsonl", "torch", ("eager", "value", "pass", 0.25), ("compile", "value", "fail", 7.5)
    )
    part = cells(tmp_path / "jax.jsonl", "jax", ("jit", "gradient", "pass", 0.5), planned=99, end=False)
    path = keep("device", [whole, part], ["run"], "abcdef1", gpu="A100", folder=tmp_path)
    assert path.parent.name == record.GPU
    found = record.read(path).data
    judged = {row["impl"]: row for row in found.judged.records()}
    assert (judged["torch"]["planned"], judged["torch"]["pass"], judged["torch"]["fail"]) == (2, 1, 1)
    assert (judged["jax"]["planned"], judged["jax"]["pass"]) == (99, 1)
    (wrong,) = found.wrong.records()
    assert (wrong["case"], wrong["mode"], wrong["share"], len(wrong["detail"])) == ("bpr/case-1", "compile", 7.5, 200)
    shares = {(row["impl"], row["mode"]): row["largest_share"] for row in found.shares.records()}
    assert shares == {("jax", "jit"): 0.5, ("torch", "compile"): 7.5, ("torch", "eager"): 0.25}
    text = dict(results_pages.pages(tmp_path))["gpu"]
    assert "## Conformance on a device, " in text
    assert "bpr/case-1" in text


def test_a_run_in_which_everything_fails_is_small_enough_to_keep(tmp_path):
    verdicts = [("eager", "value", "fail", 7.5), ("eager", "gradient", "error", None)] * 2000
    path = keep("device", [cells(tmp_path / "torch.jsonl", "torch", *verdicts)], ["run"], "abcdef1", folder=tmp_path)
    found = record.read(path).data
    assert path.stat().st_size <= record.LARGEST
    assert {row["verdict"] for row in found.wrong.records()} == {"error"}  # the worst first
    assert dict(zip(data.JUDGED, found.judged.rows[0], strict=True))["fail"] == 2000


def test_nothing_judged_is_nothing_kept(tmp_path):
    empty = cells(tmp_path / "torch.jsonl", "torch", planned=99, end=False)
    with pytest.raises(LossmarkError, match="nothing was judged"):
        keep("device", [empty], ["run"], "abcdef1", folder=tmp_path)
    assert json.loads(empty.read_text().splitlines()[0])["planned"] == 99
