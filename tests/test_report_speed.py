"""The comparison: what its table says is what the file of the benchmark holds, and how it was measured stands there."""

import re
from dataclasses import asdict, replace
from html import unescape

import pandas as pd
from lossmark.benchmarks import quick

from lossmark.results.environment import environment
from lossmark.results.record import read, write_parquet
from lossmark.timing.row import BenchRow
from tests.processes import lossmark
from tests.sites import cell, page, written

PLACE = (16384, 128, "float32", "cpu", "fwd+bwd", "default")


def row(loss, impl, framework, seconds, ratio=1.0, mode="eager", **changed):
    """A row with an interval a tenth to either side."""
    found = BenchRow(
        loss, *PLACE, impl, framework, mode, 2, seconds=seconds, rounds=3, ratio=ratio, ratio_low=0.9 * ratio,
        ratio_high=1.1 * ratio, limit=1e-3 / seconds, peak=seconds * 1e9, results=1e6,
    )  # fmt: skip
    return replace(found, **changed)


def bench(path):
    """Two losses: with a fused form in two modes, a guest, one whose peak is not seen, and one without a time."""
    rows = [
        row("bpr", "torch", "torch", 4e-3),
        row("bpr", "torch-fused", "torch", 2e-3, 2.04),
        row("bpr", "torch-fused", "torch", 1.6e-3, 2.51, "compile"),
        row("bpr", "mylib", "torch", 8e-3, 0.49),
        row("bpr", "jax", "jax", 6e-3, peak=float("nan")),
        row("bpr", "jax-fused", "jax", 3e-3, 1.04, peak=float("nan")),
        row("contrastive", "torch", "torch", 5e-3),
        row("contrastive", "torch-fused", "torch", float("nan"), float("nan"), reason="does not conform: value"),
    ]
    frame = pd.DataFrame(list(map(asdict, rows)))
    frame.attrs["environment"] = environment({}, {}) | {"not timed": ["the seventeenth"]}
    write_parquet(frame, path)
    return path


def table(text):
    """The rows of the comparison, as lists of texts."""
    (body,) = re.findall(r'class="comparison">.*?<tbody>(.*?)</tbody>', text, re.DOTALL)
    boxes = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL) for line in body.split("</tr>"))
    return [[unescape(re.sub(r"<[^>]*>", "", box)) for box in line] for line in boxes if line]


def test_the_table_has_the_figures_of_the_file(tmp_path):
    path = page(tmp_path, [cell(0)], bench(tmp_path / "bench.parquet"))
    text = (path.parent / "speed.html").read_text(encoding="utf-8")
    assert table(text) == [
        ["bpr", "torch-fused compile", "2.51", "2.26 to 2.76", "4.00 ms → 1.60 ms", "25 % → 62 %", "4.00 → 1.60", "3"],
        ["bpr", "mylib", "0.49", "0.44 to 0.54", "4.00 ms → 8.00 ms", "25 % → 12 %", "4.00 → 8.00", "3"],
        ["bpr", "jax-fused", "1.04 undecided", "0.94 to 1.14", "6.00 ms → 3.00 ms", "17 % → 33 %", "–", "3"],
        ["contrastive", "torch", "–", "–", "5.00 ms", "20 %", "5.00", "3"],
    ]
    frame = pd.read_parquet(tmp_path / "bench.parquet")
    for loss, form, ratio, *_ in table(text)[:3]:
        impl, mode = (*form.split(), "eager")[:2]
        mine = frame[(frame["loss"] == loss) & (frame["impl"] == impl) & (frame["mode"] == mode)]
        assert float(ratio.split()[0]) == round(mine["ratio"].item(), 2)


def test_how_it_was_measured_stands_beside_it(tmp_path):
    path = page(tmp_path, [cell(0)], bench(tmp_path / "bench.parquet"))
    text = (path.parent / "speed.html").read_text(encoding="utf-8")
    for words in ("default allocator", "in 3 rounds", "99%", "decides nothing", "does not conform: value"):
        assert words in text
    assert "the seventeenth" in text, "what has no time is named"
    assert text.count("<svg") == 3
    overview = path.read_text(encoding="utf-8")
    assert overview.count("<svg") == 3
    assert "default allocator; medians of 3 rounds" in overview


def test_what_a_run_has_judged_is_timed_beside_the_plain_form(tmp_path):
    judged = written(tmp_path / "r.jsonl", [cell(1, impl="numpy-fused", framework="numpy")])
    found = pd.read_parquet(quick.measure(read(judged), tmp_path / "bench.parquet", 600.0))
    assert found[["loss", "impl", "mode", "allocator"]].to_numpy().tolist() == [
        ["contrastive", "numpy", "eager", "default"],
        ["contrastive", "numpy-fused", "eager", "default"],
    ]
    assert found["seconds"].notna().all()
    assert (found["rounds"] >= 3).all()
    assert found["peak"].notna().all()
    assert (found["ratio_low"] <= found["ratio"]).all()
    nothing = written(tmp_path / "none.jsonl", [cell(0, impl="gone", framework="elsewhere")])
    assert quick.measure(read(nothing), tmp_path / "bench.parquet", 1.0) is None
    assert not (tmp_path / "bench.parquet").exists(), "times of an earlier run are not those of this one"


def test_the_main_job_ends_in_a_comparison(tmp_path):
    done = lossmark("run", "--impl", "numpy-fused", "--loss", "contrastive", "--dtype", "float32", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "reports" / "out" / "speed.html").read_text(encoding="utf-8")
    assert [line[:2] for line in table(text)] == [["contrastive", "numpy-fused"]]
