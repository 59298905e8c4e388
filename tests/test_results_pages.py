"""Every measured figure on a page comes from a kept file, and README and documentation hold none of their own."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from lossmark.reports import results_pages
from lossmark.reports.measured import data, record, sections
from lossmark.reports.measured.__main__ import keep
from lossmark.reports.measured.condense import CONDENSE
from lossmark.reports.measured.subjects import OUT, SUBJECTS, Command, Subject

from lossmark.errors import LossmarkError
from lossmark.results.cell import Cell
from lossmark.results.environment import environment
from lossmark.results.record import Recorder
from lossmark.sharpness import soak
from tests.same_cells import differences

ROOT = Path(__file__).parents[1]
KEPT = [*record.FOLDER.glob("*.json"), *(record.FOLDER / record.GPU).glob("*.json")]
MACHINE = environment({"numpy": "2.0"}, {})
BY_DTYPE = {"float64": 1, "float32": 2, "bfloat16": 3, "float16": 4}
NUMBER = re.compile(r"\d[\d.,]*\d|\d")


def cells(path, *verdicts):
    with path.open("w", encoding="utf-8") as stream:
        recorder = Recorder(stream)
        recorder.header(len(verdicts), MACHINE)
        for check, verdict, used in verdicts:
            place = ("recbole", "torch", "cpu", "float32", "eager", "bpr", "bpr/worked", check)
            recorder.cells([Cell(*place, verdict, 1.5, used, "why" * (verdict == "not-run")).record()])
        recorder.footer()
    return path


def times(path, *impls):
    row = {name: 3.0 + index for index, name in enumerate(data.TIMES)}
    row |= {"loss": "bpr", "batch": 64, "width": 16, "dtype": "float32", "reason": ""}
    row |= {"passes": "fwd+bwd", "framework": "torch", "mode": "eager", "allocator": "default", "device": "cpu"}
    frame = pd.DataFrame([row | {"impl": impl, "seconds": 0.001 * index} for index, impl in enumerate(impls, 1)])
    frame.loc[0, "peak"] = float("nan")
    frame.attrs["environment"] = MACHINE
    frame.to_parquet(path)
    return path


def lines(path, **row):
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """By subject, what its commands would have written."""
    folder = tmp_path_factory.mktemp("outputs")
    run = cells(folder / "cells.jsonl", ("value", "pass", 0.25), ("gradient", "pass", 0.75), ("empty", "not-run", None))
    peers = cells(folder / "peers.jsonl", ("value", "pass", 0.25), ("gradient", "fail", 7.5))
    speed = times(folder / "speed.parquet", "torch", "torch-fused", "recbole")
    rates = dict.fromkeys(data.RATES, 5) | {"kind": "rates", "slowdown": 0.1}
    seen = dict.fromkeys(data.MEMORY_SEEN, 6) | {"kind": "memory"}
    hunt = {
        "hunts": [dict.fromkeys(data.HUNTS, 5)],
        "messages": [{"message": "task", "mean": 6, "largest": 7}],
        "day": [{"what": "bytes", "figure": 9}],
    }
    repeats = dict.fromkeys(data.REPEATS, 8) | {"impl": "numpy", "size": "64x16"}
    box = {"state": "killed", "why": "bpr/worked"}
    mutant = {"name": "torch/half", "loss": "bpr", "why": "half", "boxes": dict.fromkeys(BY_DTYPE, box)}
    board = {"mutants": [mutant], "seen": {"lossmark": BY_DTYPE}, "told_apart": BY_DTYPE, "lines": ["9 survive"]}
    told = {"seen": False, "why": "16 rows"}
    exhibit = {"name": "torch/half", "loss": "bpr", "what": "half", "case": "bpr/worked", "check": "value"}
    exhibit |= {"project": "one", "reference": "one/one#16", "url": "https://one/16", "date": "2016", "test_then": told}
    shown = {
        "exhibits": [exhibit | {"seen": {"lossmark": ["float32"]}}],
        "seen": {"lossmark": 3},
        "of": {"lossmark": 4},
    }
    accused = {"right": ["torch/other"], "judged": BY_DTYPE, "accused": {"lossmark": BY_DTYPE}}
    fresh = folder / "soak.jsonl"
    soak.record(
        fresh,
        soak.Part(2013, "bpr", "torch"),
        [soak.Observed(2013, "bpr", "float32", "torch", "eager", "value", "pass", 0.5, 1000)] * 2,
    )
    return {
        "conformance": [run],
        "sharpness": [lines(folder / "sharpness.json", environment=MACHINE, **board)],
        "museum": [lines(folder / f"museum-{part}.json", environment=MACHINE, **shown) for part in "ab"],
        "right": [lines(folder / "right.json", environment=MACHINE, **accused)],
        "soak": [fresh],
        "speed": [speed],
        "sizes": [speed],
        "memory": [speed],
        "peers": [speed, peers],
        "gate": [lines(folder / "rates.jsonl", **rates), lines(folder / "memory.jsonl", **seen)],
        "compare": [lines(folder / "compare.jsonl", **repeats)],
        "hunt": [lines(folder / "hunt.json", environment=MACHINE, **hunt)],
    }


@pytest.fixture
def kept(outputs, tmp_path):
    """A folder with every subject."""
    for name, files in outputs.items():
        keep(name, files, ["a command"], "abcdef1", folder=tmp_path)
    return tmp_path


def test_every_subject_is_measured_kept_and_shown():
    shown = [subject for _, subjects in results_pages.PAGES.values() for subject in subjects]
    assert set(shown) == set(SUBJECTS)
    assert {*shown, "device"} == set(data.DATA) == set(CONDENSE) == set(sections.HEADS) == set(sections.TABLES)
    files = [command.file for subject in SUBJECTS.values() for command in subject.commands]
    assert len(set(files)) == len(files)
    assert all(command.file in command.text for subject in SUBJECTS.values() for command in subject.commands)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_kept_file_is_complete_and_small(path):
    found = record.read(path)
    assert found.subject in path.stem
    assert path.stat().st_size <= record.LARGEST
    assert datetime.fromisoformat(found.date) <= datetime.now(UTC)
    assert not any(word in path.read_text(encoding="utf-8") for word in ("/home/", "/work/", "/tmp/", "/root/"))


@pytest.mark.parametrize("name", ["date", "command", "revision", "machine", "versions", "data"])
def test_a_file_that_lacks_something_is_refused(name, kept):
    path = kept / "soak.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    del raw[name]
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(LossmarkError, match=r"soak\.json: no kept result"):
        results_pages.write(kept / "pages", kept)


def test_figures_of_a_run_that_did_not_end_are_not_kept(outputs, tmp_path):
    path = tmp_path / "cells.jsonl"
    path.write_text("\n".join(outputs["conformance"][0].read_text().splitlines()[:-1]), encoding="utf-8")
    with pytest.raises(LossmarkError, match="did not come to its end"):
        keep("conformance", [path], ["a command"], "abcdef1", folder=tmp_path)


def test_pages_are_written_with_and_without_kept_files(kept, tmp_path):
    """Markdown that renders: headings, tables of one width, and no subject left out."""
    for folder in (kept, tmp_path / "nothing"):
        pages = results_pages.write(tmp_path / "pages", folder)
        assert [page.stem for page in pages] == [*results_pages.PAGES, "gpu"]
        for page in pages:
            text = page.read_text(encoding="utf-8")
            assert text.startswith("# ")
            for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
                assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    assert "make results SUBJECT=soak" in (tmp_path / "pages" / "sharpness.md").read_text(encoding="utf-8")
    assert "has been kept yet" in (tmp_path / "pages" / "gpu.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_number_of_a_page_comes_from_its_file(subject, kept):
    """Were every number in a file another one, no number of before would be left on its page."""
    found = record.read(kept / f"{subject}.json")
    other = record.Kept.model_validate(found.model_dump() | {"data": changed(found.data.model_dump())})
    before, after = (numbers(each) for each in (found, other))
    assert len(before) == len(after) > 0
    assert not [number for number, now in zip(before, after, strict=True) if number == now]


def changed(value):
    """The same with every number another one, also in sentences that a command wrote; places keep their names."""
    if isinstance(value, dict):
        return {name: changed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [changed(item) for item in value]
    if isinstance(value, str):
        return value.replace("9 survive", "8 survive").replace("64x16", "32x16").replace("16", "8")
    return value if value is None or isinstance(value, bool) else value * 2 + 1


def numbers(found):
    """What a page shows in numbers, without names that hold digits, how many rows there are, and the provenance."""
    text = sections.section(found).partition("```\n\n")[2]
    return NUMBER.findall(re.sub(r"b?float\d+|\| eager \| 1 \|", "", text))


def test_a_figure_of_a_gpu_stands_under_its_date(outputs, tmp_path):
    path = keep("speed", outputs["speed"], ["a command"], "abcdef1", gpu="A100", folder=tmp_path)
    assert path.parent.name == "gpu"
    text = dict(results_pages.pages(tmp_path))["gpu"]
    assert f"## Time of a call, {MACHINE['date'][:10]}" in text
    assert "A100; " in text


def test_the_command_keeps_files_and_refuses_unknown_subjects(tmp_path):
    module = [sys.executable, "-m", "lossmark.reports.measured"]
    done = subprocess.run([*module, "nosuch"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 3
    assert "known are conformance" in done.stderr
    with pytest.raises(LossmarkError, match="no such file"):
        keep("soak", [tmp_path / "nosuch.jsonl"], ["a command"], "abcdef1", folder=tmp_path)


def test_an_interrupted_measurement_goes_on(tmp_path, monkeypatch):
    """A command that came to its end is not run again, one that ends with another code than it should is."""
    measuring = sys.modules["lossmark.reports.measured.__main__"]
    log = tmp_path / "log"
    commands = (
        Command(f"echo one >> {log}; touch {OUT}/one", f"{OUT}/one"),
        Command(f"echo two >> {log}; test -e ready && touch {OUT}/two", f"{OUT}/two"),
        Command(f"echo three >> {log}; exit 1", f"{OUT}/three", (0, 1)),
    )
    monkeypatch.setattr(measuring, "ROOT", tmp_path)
    monkeypatch.setitem(SUBJECTS, "compare", Subject(commands, 1))
    with pytest.raises(LossmarkError, match="exit code 1 of echo two"):
        measuring.measure("compare", "abcdef1")
    (tmp_path / "ready").touch()
    files, _ = measuring.measure("compare", "abcdef1")
    assert [file.name for file in files] == ["one", "two", "three"]
    assert log.read_text().split() == ["one", "two", "two", "three"]
    measuring.measure("compare", "abcdef2")
    assert log.read_text().split()[4:] == ["one", "two", "three"]


def test_measured_is_kept_once_per_revision(tmp_path, monkeypatch, capsys):
    measuring = sys.modules["lossmark.reports.measured.__main__"]
    row = json.dumps(dict.fromkeys(data.REPEATS, 8) | {"impl": "numpy", "size": "64x16"})
    subjects = {"compare": Subject((Command(f"echo '{row}' > {OUT}/compare", f"{OUT}/compare"),), 1)}
    monkeypatch.setattr(measuring, "ROOT", tmp_path)
    monkeypatch.setattr(measuring, "SUBJECTS", subjects)
    monkeypatch.setattr(record, "revision", lambda: "abcdef1")
    measuring.main()
    found = record.read(tmp_path / "reports" / "results" / "compare.json")
    assert (found.revision, found.command) == ("abcdef1", [subjects["compare"].commands[0].text])
    assert found.seconds is not None
    assert not list((tmp_path / OUT).glob("*.done.json"))
    measuring.main()
    assert "compare: kept at this revision" in capsys.readouterr().out


def test_commands_write_where_git_does_not_look():
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert any(OUT.startswith(folder) for folder in ignored if folder.endswith("/"))


MEASURED = re.compile(
    r"\d[\d,.]* ?(cells|comparisons|mutants|page faults|ms|µs|GB|MiB|seconds|minutes|times as|million)\b"
    r"|\b\d+ of \d+\b|\d ?%(?! confidence| bootstrap| interval)"
)
FIGURES_IN_A_ROW = re.compile(r"\|\s*(?!\d\s*\|)\d[\d.,]*( ?%)?( / \d[\d.,]*( ?%)?)*\s*(?=\|)")


def measured(text):
    """The figures that a text holds itself, code and its output apart."""
    text = re.sub(r"^(```|~~~|:::).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`]*`|\]\([^)]*\)", "", re.sub(r"^(    |\t).*$", "", text, flags=re.MULTILINE))
    return [found.group() for pattern in (MEASURED, FIGURES_IN_A_ROW) for found in pattern.finditer(text)]


@pytest.mark.parametrize(
    "figure",
    ["21,481 cells: 21,394 pass", "in 112 s, 192 cells per second", "reaches 93 % of it", "about 11 minutes",
     "took 26 µs", "36 of 36 seen", "| `bpr` | 0.46 / 0.50 / 0.16 | x |", "| numpy | 67 / 79 % |",
     "62.9 million comparisons"],
)  # fmt: skip
def test_a_figure_is_recognised(figure):
    assert measured(figure)


@pytest.mark.parametrize(
    "text",
    ["Python ≥ 3.11", "float16 and `float32`", "Exit codes: 0 pass, 1 failure", "a 99 % interval", "goes linear at 20",
     "```\n112 cells of mylib\n```", "| `--size` | 4096x128 |", "| 3 | usage |", "in ten minutes", "[a](b-20-ms.md)"],
)  # fmt: skip
def test_what_is_no_figure_is_let_be(text):
    assert not measured(text)


PROSE = [ROOT / "README.md", *(p for p in (ROOT / "docs").rglob("*.md") if not {"_build", "results"} & set(p.parts))]


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_figure_is_typed_into(path):
    assert not measured(path.read_text(encoding="utf-8"))


def test_cells_that_differ_are_told(tmp_path):
    """Of two files: a verdict, a share, a cell that is gone."""
    one = cells(tmp_path / "one.jsonl", ("value", "pass", 0.25), ("gradient", "pass", 0.75), ("empty", "pass", None))
    two = cells(tmp_path / "two.jsonl", ("value", "fail", 0.25), ("gradient", "pass", 0.5))
    assert not differences(one, one)
    assert [line.rpartition("bpr/worked ")[2] for line in differences(one, two)] == [
        "empty", "gradient: budget_used was 0.75, is 0.5", "value: verdict was 'pass', is 'fail'",
    ]  # fmt: skip
