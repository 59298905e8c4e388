"""Findings: every entry is whole, its reproduction runs, and one that is gone says so."""

import subprocess
import sys

import pytest

from lossmark.errors import SpecError
from lossmark.specification.library import losses
from lossmark.suite.findings import Upstream, findings, reproduce

KNOWN = findings()
SHORT = next(each for name, each in KNOWN.items() if name == "torch-multi-margin-hides-nan")


def changed(**fields):
    return SHORT.model_copy(update=fields)


def test_every_entry_names_losses_that_there_are():
    assert len(KNOWN) >= 8
    assert {loss for each in KNOWN.values() for loss in each.losses} <= set(losses())
    assert not any(each.title.endswith(".") for each in KNOWN.values())


def test_what_is_off_is_still_so():
    now = reproduce(changed(library="numpy", code="got, expected = [1.0, 2.0], [1.0, 2.0 + 2**-22]", ulp=1))
    assert (now.state, now.ulp) == ("still", 1.0)


@pytest.mark.parametrize(
    ("code", "ulp"),
    [("got = expected = float('nan')", 0), ("got, expected = 1.0, 1.0 + 2**-22", 2), ("got, expected = [], []", None)],
)
def test_what_is_right_now_is_gone(code, ulp):
    now = reproduce(changed(library="numpy", code=code, ulp=3))
    assert now.state == "gone"
    assert ulp is None or now.ulp == ulp


def test_a_nan_for_a_number_is_off_without_end():
    now = reproduce(changed(library="numpy", code="got, expected = float('nan'), 1.0", ulp=float("inf")))
    assert now.state == "still"


@pytest.mark.parametrize("code", ["import nothing_of_that_name", "got, expected = 1, [1, 2]", "got = 1"])
def test_what_does_not_run_is_broken(code):
    assert reproduce(changed(library="numpy", code=code)).state == "broken"


@pytest.mark.parametrize(
    ("test", "mend", "words"),
    [
        ("assert f(1) == 2", "mended = lambda x: 2", ""),
        ("assert f(1) == 2", "mended = abs", "fails with the mend"),
        ("assert f(1) == 1", "mended = abs", "passes without the mend"),
        ("raise ValueError('what?')", "mended = abs", "what?"),
    ],
)
def test_what_is_for_upstream_fails_as_it_is_and_passes_when_mended(test, mend, words):
    upstream = Upstream(why="w", test=f"now = abs\ndef test(f):\n    {test}", mend=mend)
    now = reproduce(changed(library="numpy", code="got, expected = 1.0, 2.0", ulp=1, upstream=upstream))
    assert (now.state == "still") == (words == "")
    assert words in now.detail


def test_three_findings_say_what_to_send_upstream():
    assert sum(each.upstream is not None for each in KNOWN.values()) >= 3


def test_a_library_that_is_not_there_is_not_run():
    assert reproduce(changed(library="nothing-of-that-name")).state == "not installed"


def test_an_entry_that_is_not_whole_is_refused_with_its_place(tmp_path):
    path = tmp_path / "findings.yaml"
    path.write_text("x:\n  title: t\n  library: torch\n  dtype: float8\n", encoding="utf-8")
    with pytest.raises(SpecError, match=r"findings.yaml:\d+:\d+"):
        findings(path)


def test_the_command_runs_what_is_named_and_fails_where_it_is_unknown():
    command = [sys.executable, "-m", "lossmark", "findings"]
    done = subprocess.run([*command, "optax-huber-gradient", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "still so" in done.stdout or "not installed" in done.stdout
    assert subprocess.run([*command, "nothing"], capture_output=True, check=False).returncode == 3
