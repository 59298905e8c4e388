"""Forty faulty guests in one run: each fails by name, the others are judged, the counts add up, time is bounded."""

from pathlib import Path

import pytest

from lossmark.adapters.installed import framework_version
from lossmark.results.cell import VERDICTS
from lossmark.results.record import read
from tests.faulty import sources
from tests.test_conformance import IMPATIENT, conformance


@pytest.mark.skipif(framework_version("torch") is None, reason="some guests are written for torch")
def test_faulty_guests_fail_by_name_and_cost_nobody_else_a_cell(tmp_path):
    """One test, so that no second process of the tests makes the same long run."""
    options = ["--dtype", "float32", "--case", "bpr/[sgw][mtoe]*", "--results", "results.jsonl"]
    for name, text in sources().items():
        (tmp_path / f"{name}.py").write_text(text)
        options += ["--impl", str(tmp_path / f"{name}.py")]
    done = conformance(*options, cwd=tmp_path, program=("-c", IMPATIENT))
    assert done.returncode == 1, done.stdout[-2000:]
    results = read(tmp_path / "results.jsonl")
    every_cell_is_accounted_for(results)
    for name in sources():
        mine = [cell for cell in results.cells if cell.impl == name]
        healthy_or_named(name, mine)
    assert not list(tmp_path.glob("*.ran")), "what a guest has written was run"
    text = page_of(results, tmp_path)
    assert all(name in text for name in sources())


def every_cell_is_accounted_for(results):
    assert results.complete
    assert sum(results.counts[verdict] for verdict in VERDICTS) == results.header["planned"] == len(results.cells)
    assert dict(results.footer["counts"]) == {verdict: results.counts[verdict] for verdict in VERDICTS}


def healthy_or_named(name, mine):
    assert mine, name
    if name == "healthy":
        assert {cell.verdict for cell in mine} <= {"pass", "unsupported"}
        return
    assert any(cell.verdict in ("fail", "error") for cell in mine), name
    assert all(name in cell.detail for cell in mine if cell.verdict == "error"), name


def page_of(results, folder):
    from lossmark.reports.build import build

    return build([Path(results.source)], folder / "site").read_text()
