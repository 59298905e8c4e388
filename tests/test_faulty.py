"""Thirty faulty guests in one run: each fails by name, the others are judged, the counts add up, time is bounded."""

import time
from pathlib import Path

import pytest

from lossmark.registry import framework_version
from lossmark.results import VERDICTS, read
from tests.faulty import sources
from tests.test_conformance import conformance

pytestmark = pytest.mark.skipif(framework_version("torch") is None, reason="some guests are written for torch")
SECONDS = 280
"""Two that hang and one that fills memory have three cells of ten seconds each before they are given up."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faulty")
    options = ["--dtype", "float32", "--case", "bpr/[sgw][mtoe]*", "--results", "results.jsonl"]
    for name, text in sources().items():
        (folder / f"{name}.py").write_text(text)
        options += ["--impl", str(folder / f"{name}.py")]
    start = time.monotonic()
    done = conformance(*options, cwd=folder)
    return done, read(folder / "results.jsonl"), time.monotonic() - start


def test_every_cell_is_accounted_for(run):
    done, results, seconds = run
    assert done.returncode == 1, done.stdout[-2000:]
    assert results.complete
    assert sum(results.counts[verdict] for verdict in VERDICTS) == results.header["planned"] == len(results.cells)
    assert dict(results.footer["counts"]) == {verdict: results.counts[verdict] for verdict in VERDICTS}
    assert seconds < SECONDS


@pytest.mark.parametrize("name", [name for name in sources() if name != "healthy"])
def test_a_faulty_guest_fails_by_name(run, name):
    _, results, _ = run
    wrong = [cell for cell in results.cells if cell.impl == name and cell.verdict in ("fail", "error")]
    assert wrong
    assert all(name in cell.detail for cell in wrong if cell.verdict == "error")


def test_a_healthy_guest_beside_them_passes(run):
    _, results, _ = run
    mine = [cell for cell in results.cells if cell.impl == "healthy"]
    assert mine
    assert {cell.verdict for cell in mine} <= {"pass", "unsupported"}


def test_the_report_of_such_a_run_can_be_built(run, tmp_path):
    from lossmark.reports.build import build

    _, results, _ = run
    page = build([Path(results.source)], tmp_path)
    text = page.read_text()
    assert all(name in text for name in sources())
