"""The report never shows green what cannot be believed, and what is taken away harms nobody."""

import csv
import gzip
import io
import json
from xml.etree import ElementTree

import pandas as pd
import pytest
from lossmark.reports.build import build

from lossmark.results.record import ResultsError
from tests.processes import lossmark
from tests.sites import HALF, HOSTILE, cell, page, timed, written
from tests.test_history import kept


def test_hostile_text_is_harmless_in_what_is_taken_away(tmp_path):
    cells = [cell(0, impl="=cmd|' /C calc'!A0", detail=HOSTILE), cell(1, "fail", impl=HOSTILE)]
    folder = page(tmp_path, cells).parent
    rows = list(csv.DictReader(io.StringIO(gzip.decompress((folder / "cells.csv.gz").read_bytes()).decode())))
    assert rows[0]["impl"] == "'=cmd|' /C calc'!A0"
    assert not any(value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values() if value)
    assert json.loads(gzip.decompress((folder / "cells.json.gz").read_bytes()))[0]["impl"].startswith("=cmd")
    assert len(pd.read_parquet(folder / "cells.parquet")) == 2
    ElementTree.parse(folder / "badge.svg")
    assert json.loads((folder / "badge.json").read_text())["message"] == "fail"
    summary = (folder / "summary.md").read_text()
    assert "<script>" not in summary
    assert all(line.count(" | ") == 7 for line in summary.splitlines() if line.startswith("| bpr"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"footer": False}, "the run died before its end"),
        ({"planned": 9}, "cells are missing"),
        ({"version": "9."}, "different versions"),
    ],
)
def test_a_run_that_cannot_be_believed_is_never_green(changed, words, tmp_path):
    source = written(tmp_path / "results.jsonl", [cell(0), cell(1)], **changed)
    text = build([source], tmp_path / "site").read_text(encoding="utf-8")
    assert words in text
    assert 'class="banner bad"' in text
    assert json.loads((tmp_path / "site" / "badge.json").read_text())["message"] == "fail"


def test_cells_that_come_twice_or_not_at_all_are_never_green(tmp_path):
    one = written(tmp_path / "one.jsonl", [cell(0)])
    none = written(tmp_path / "none.jsonl", [])
    for sources in ([one, one], [none]):
        assert 'class="banner bad"' in build(sources, tmp_path / "site").read_text(encoding="utf-8")
    one.write_text(one.read_text()[:-150])
    assert 'class="banner bad"' in build([one], tmp_path / "site").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet", "x.json"])
def test_what_is_no_result_is_one_line_and_exit_3(name, tmp_path):
    (tmp_path / name).write_text("nothing of the kind\n")
    done = lossmark("report", name, "-o", "site", cwd=tmp_path)
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1
    with pytest.raises(ResultsError):
        build([tmp_path / name], tmp_path / "site")


def test_what_has_changed_since_an_earlier_run_is_said(tmp_path):
    before = written(tmp_path / "before.jsonl", [cell(0), cell(1), cell(2)])
    text = page(tmp_path, [cell(0), cell(1, "fail", detail=HALF)], since=before).read_text(encoding="utf-8")
    assert "was pass, is fail" in text
    assert "is gone" in text


def test_what_was_tried_twice_is_said_and_the_verdict_is_not_worse(tmp_path):
    why = "no result within 10 s of processor time"
    cells = [cell(0, impl="once", retried=why), cell(1, impl="once", retried=why), cell(2)]
    text = page(tmp_path, cells).read_text(encoding="utf-8")
    assert 'class="banner good"' in text
    assert f"2 cells of once ({why})" in text
    assert "Tried twice" not in page(tmp_path, [cell(2)]).read_text(encoding="utf-8")
    wrong = page(tmp_path, [cell(0, "error", detail="once: gone", retried=why)]).read_text(encoding="utf-8")
    assert f'<dt>first try</dt><dd class="code">{why}</dd>' in wrong


def test_times_are_shown_where_there_are_some(tmp_path):
    source = written(tmp_path / "results.jsonl", [cell(0)])
    build([source, timed(tmp_path / "bench.parquet")], tmp_path / "site")
    text = (tmp_path / "site" / "speed.html").read_text(encoding="utf-8")
    assert "torch-fused" in text
    assert text.count("<svg") == 1
    assert ">200 calls<" in text


def test_a_history_is_drawn_with_its_steps(tmp_path):
    kept(tmp_path, [1.0, 1.01, 0.99, 1.0, 1.2, 1.21, 1.2, 1.19])
    path = page(tmp_path, [cell(0)], kept=tmp_path / "history")
    text = (path.parent / "speed.html").read_text(encoding="utf-8")
    assert "× 1.200 at run-" in text
    assert "head / base over 8 runs, and its levels" in text
