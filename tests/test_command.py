"""Programs of other languages: the reference harnesses conform, wrong ones are caught, the page shows what happens."""

import json
import re
import shlex
import subprocess
import sys

import pytest

from lossmark.checks.catalogue import CHECKS
from lossmark.dtypes import DTYPES
from lossmark.errors import LoadError
from lossmark.results.record import read
from lossmark.sandbox.command import CommandWorker
from lossmark.sandbox.json_lines import Answered, Greeting, SentArray, answered, greeted
from lossmark.sandbox.limits import Limits
from lossmark.sandbox.target import program, targets
from lossmark.specification.library import losses
from tests.processes import lossmark
from tests.programs import FOLDER, HARNESSES, HEAD, harness


def checked(line, folder, *options):
    """``lossmark check`` of a program, and its results."""
    path = folder / "results.jsonl"
    done = lossmark("check", "--command", line, "--name", "mini", "--results", path, "-q", *options, cwd=folder)
    return done, read(path)


@pytest.mark.parametrize("name", HARNESSES)
@pytest.mark.parametrize(
    ("cases", "dtypes"),
    [
        ("huber/*", DTYPES),
        ("pairwise_hinge/[a-q]*", ("float32",)),
        ("pairwise_hinge/in-the-large-margin-0-150*", ("float16",)),
    ],
)
def test_the_reference_harnesses_conform(name, cases, dtypes, tmp_path):
    options = [word for dtype in dtypes for word in ("--dtype", dtype)]
    done, results = checked(harness(name), tmp_path, "--case", cases, *options)
    assert done.returncode == 0, done.stdout[-2000:]
    assert results.complete
    unjudged = {(cell.verdict, cell.detail) for cell in results.cells if cell.verdict != "pass"}
    assert unjudged <= {("unsupported", "the function takes no similarity")}
    assert {cell.dtype for cell in results.cells if cell.verdict == "pass"} == {*dtypes}
    assert {cell.framework for cell in results.cells} == {"command"}


def test_a_program_is_asked_what_needs_no_tensors_of_its_process(tmp_path):
    case = losses()["pairwise_hinge"].host.id
    _, results = checked(harness("python"), tmp_path, "--dtype", "float32", "--case", case)
    assert {cell.check for cell in results.cells} == {
        "value", "gradient", "result", "defaults", "empty", "arguments", "deterministic", "permuted", "partial",
        "properties",
    }  # fmt: skip


def test_the_harness_in_python_needs_nothing_and_is_short():
    text = (FOLDER / "harness.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    imported = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    assert set(imported) <= sys.stdlib_module_names


WRONG = {
    "another value": ("delta / 2", "delta / 3", "value", "none[1]: got"),
    "another slope": ("copysign(delta, z)", "copysign(1.5, z)", "gradient", "none by x[1]: got"),
    "mean as sum": ('"mean": len(each)', '"mean": 1', "value", "mean: got"),
    "weights overlooked": ("decoded(**weights) if weights else ", "", "gradient", "none by x[0]: got"),
    "another dtype": ("count], dtype, [])", 'count], "float64", [])', "result", "the result's dtype is float64"),
    "another shape": ("(values, dtype, shape[:1])", "(values, dtype, [*shape, 1])", "value", "none has shape [2, 1]"),
    "not rounded": ('struct.unpack(f"<{count}{code}", data)', "numbers", "value", "is no number of float32: round it"),
}
"""What stands in the harness, what in its place, the check that tells, and what it says."""


@pytest.mark.parametrize("name", WRONG)
def test_wrong_programs_are_caught(name, tmp_path):
    right, wrong, check, says = WRONG[name]
    text = (FOLDER / "harness.py").read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "harness.py").write_text(text.replace(right, wrong), encoding="utf-8")
    options = ("--dtype", "float32", "--case", "huber/g*" if name == "not rounded" else "huber/worked")
    done, results = checked(f"{sys.executable} harness.py", tmp_path, *options)
    assert done.returncode == 1, done.stdout[-2000:]
    verdict = "error" if name == "not rounded" else "fail"
    assert any(cell.check == check and cell.verdict == verdict and says in cell.detail for cell in results.cells)
    assert results.counts[verdict] == sum(cell.verdict not in ("pass", "unsupported") for cell in results.cells)


def test_a_program_is_asked_for_no_gradient_that_it_does_not_have(tmp_path):
    text = (FOLDER / "harness.py").read_text(encoding="utf-8")
    text = text.replace('"gradients": [*LOSSES]', '"gradients": []')
    text = text.replace("found = answer", 'found = {"error": "no gradients"} if "gradient" in asked else answer')
    (tmp_path / "harness.py").write_text(text, encoding="utf-8")
    host = losses()["huber"].host.id
    done, results = checked(f"{sys.executable} harness.py", tmp_path, "--dtype", "float32", "--case", host)
    assert done.returncode == 0, done.stdout[-2000:]
    assert {cell.check for cell in results.cells if cell.verdict == "unsupported"} == {"gradient"}
    assert {(cell.verdict, cell.grade) for cell in results.cells if cell.check == "defaults"} == {("pass", "")}


def test_a_failure_says_how_to_repeat_it(tmp_path):
    text = (FOLDER / "harness.py").read_text(encoding="utf-8")
    (tmp_path / "harness.py").write_text(text.replace("delta / 2", "delta / 3"), encoding="utf-8")
    line = f"{sys.executable} harness.py"
    done, _ = checked(line, tmp_path, "--dtype", "float32", "--case", "huber/worked")
    repeat = next(line for line in done.stdout.splitlines() if line.strip().startswith("repeat")).split(maxsplit=1)[1]
    words = shlex.split(repeat)
    assert words[:6] == ["pytest", "conformance", "--command", line, "--name", "mini"]
    assert lossmark("check", *words[2:], cwd=tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("print('ready')", "does not say what it has: stopped: it sent what is no reply: Invalid JSON"),
        ("raise SystemExit('no licence')", "does not say what it has: the process ended .*: no licence"),
        ("say(hello(id=0, lossmark=2))", "version 2 of the protocol; this is version 1"),
        ("say(hello(id=0, losses={'huberr': []}))", "which is no loss: the nearest is 'huber'"),
        ("say(hello(id=0, losses={'x' * 5000000: []}))", "^.{0,300}x: String should have at most 200 characters$"),
        ("say(hello(id=0, losses={'huber': ['margin']}))", "takes 'margin'; it may take reduction, delta"),
        ("say(hello(id=0, gradients=['bpr']))", "a gradient of 'bpr', and not that loss"),
        ("say(hello(id=0, dtypes=['float128']))", "dtypes.0: Input should be"),
    ],
)
def test_a_program_that_cannot_be_planned_is_refused(text, says, tmp_path):
    (tmp_path / "mini.py").write_text(f"{HEAD}sys.stdin.readline()\n{text}")
    with pytest.raises(LoadError, match=says):
        program(f"{sys.executable} {tmp_path / 'mini.py'}", "mini")


def test_a_program_that_says_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(CommandWorker, "limits", Limits(starting_idle=1.0))
    (tmp_path / "mini.py").write_text("import time; time.sleep(1e6)")
    with pytest.raises(LoadError, match="does not say what it has: no result, and no processor time used for 1 s"):
        program(f"{sys.executable} {tmp_path / 'mini.py'}", "mini")


@pytest.mark.parametrize(
    ("command", "name", "says"),
    [
        ("no-such-program -x", "mini", "there is no program 'no-such-program'"),
        ("'half", "mini", "No closing quotation"),
        (sys.executable, "", "--command needs --name"),
        ("", "mini", "no program is named"),
    ],
)
def test_what_names_no_program_is_refused(command, name, says):
    with pytest.raises(LoadError, match=says):
        program(command, name)


@pytest.mark.parametrize("words", [["--command", ""], ["--command", "", "--name", "mini"], ["--name", "mini"]])
def test_an_empty_command_is_no_run_of_lossmarks_own(words, tmp_path):
    """As where a CI has not set its variable."""
    done = lossmark("check", *words, "--loss", "huber", cwd=tmp_path)
    assert done.returncode == 3
    assert len((done.stdout + done.stderr).strip().splitlines()) == 1


def test_a_program_that_is_not_there_ends_the_run_in_one_line(tmp_path):
    done = lossmark("check", "--command", "no-such-program -x", "--name", "mini", cwd=tmp_path)
    assert done.returncode == 3
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert "lossmark: --command: there is no program 'no-such-program', or it cannot be run" in line


def test_cells_of_a_program_end_like_those_of_guests(tmp_path):
    """What is unsupported is said, a crash costs its own cells, and the report shows them."""
    text = (FOLDER / "harness.py").read_text(encoding="utf-8")
    text = text.replace("far, z =", "if x != x: import os; os.abort()\n    far, z =")
    text = text.replace("[*FORMATS]", '["float32", "float16"]')
    halves = "{'unsupported': 'no halves today'} if 'loss' in asked and 'float16' in str(asked) else"
    text = text.replace("found = answer", f"found = {halves} answer")
    (tmp_path / "harness.py").write_text(text, encoding="utf-8")
    options = [word for dtype in ("float64", "float32", "float16") for word in ("--dtype", dtype)]
    done, results = checked(f"{sys.executable} harness.py", tmp_path, "--loss", "huber", "--case", "*/[gn]*", *options)
    assert done.returncode == 1
    told = {dtype: {(x.verdict, x.detail) for x in results.cells if x.dtype == dtype} for dtype in DTYPES}
    assert told["float64"] == {("unsupported", "the program has no float64")}
    assert told["float16"] == {("unsupported", "no halves today")}
    crashed = [cell for cell in results.cells if cell.dtype == "float32" and cell.verdict != "pass"]
    assert {cell.case for cell in crashed} == {"huber/nan"}
    assert all(cell.verdict == "error" and "signal 6" in cell.detail and cell.retried for cell in crashed)
    assert lossmark("report", "results.jsonl", "-o", "out", cwd=tmp_path).returncode == 0
    pages = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "out").rglob("*.html"))
    assert "--command" in pages


def transcript():
    """The questions and answers that the page on the protocol shows."""
    text = (FOLDER.parent / "reference" / "protocol.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = block.splitlines()
    return [[line[2:] for line in lines if line.startswith(mark)] for mark in "><"]


@pytest.mark.parametrize("name", HARNESSES)
def test_the_transcript_is_what_happens(name):
    questions, answers = transcript()
    assert len(questions) == len(answers) == 4
    done = subprocess.run(
        shlex.split(harness(name)), input="\n".join(questions) + "\n", capture_output=True, text=True, check=True
    )
    for said, shown in zip(map(json.loads, done.stdout.splitlines()), map(json.loads, answers), strict=True):
        assert said.keys() == shown.keys()
        assert said == shown | ({"error": said["error"]} if "error" in shown else {})
    assert greeted(answers[0].encode(), 0).dtypes == [*DTYPES]
    for at, wrt in ((1, ()), (2, ("x",)), (3, ())):
        answered(answers[at].encode(), at, wrt)


def test_the_page_on_the_protocol_names_every_key_and_every_check_that_is_not_asked():
    text = (FOLDER.parent / "reference" / "protocol.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", text))
    assert {key for model in (SentArray, Greeting, Answered) for key in model.model_fields} <= named
    (target,) = targets(("torch",))
    (part,) = re.findall(r"## What is not asked\n(.*?)##", text, re.DOTALL)
    loss = losses()["pairwise_hinge"]
    mine = program(harness("python"), "mini")
    missing = {check.name for check in CHECKS if check.concerns(target, loss) and not check.concerns(mine, loss)}
    assert missing == set(re.findall(r"`(\w+)`", part))


def test_of_a_program_that_supports_nothing_nothing_is_said_to_be_known(tmp_path):
    text = (FOLDER / "harness.py").read_text(encoding="utf-8")
    text = text.replace("found = answer", "found = {'unsupported': 'not today'} if 'loss' in asked else answer")
    (tmp_path / "harness.py").write_text(text, encoding="utf-8")
    done, results = checked(f"{sys.executable} harness.py", tmp_path, "--dtype", "float32", "--case", "huber/worked")
    assert done.returncode == 0, done.stdout[-2000:]
    assert {cell.verdict for cell in results.cells} == {"unsupported"}
    assert "no cell of mini was judged: this run says nothing of it" in done.stdout
    (tmp_path / "harness.py").write_text((FOLDER / "harness.py").read_text(encoding="utf-8"), encoding="utf-8")
    done, _ = checked(f"{sys.executable} harness.py", tmp_path, "--dtype", "float32", "--case", "huber/worked")
    assert "says nothing of it" not in done.stdout
