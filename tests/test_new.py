"""`lossmark new`: what it writes runs at once, and it overwrites nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from lossmark.adapters.installed import framework_version, frameworks

ROOT = Path(__file__).parents[1]


def lossmark(*arguments, cwd):
    command = [sys.executable, "-m", "lossmark", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("framework", frameworks())
def test_an_implementation_conforms_as_it_is_written(framework, tmp_path, monkeypatch):
    if framework_version(framework) is None:
        pytest.skip(f"{framework} is not installed")
    monkeypatch.setenv("LOSSMARK_REQUIRE", framework)
    done = lossmark("new", "impl", "my_losses.py", "--framework", framework, cwd=tmp_path)
    assert done.stdout == "my_losses.py: now run: lossmark check --impl my_losses.py\n"
    text = (tmp_path / "my_losses.py").read_text(encoding="utf-8")
    assert "THIS_FILE" not in text
    assert len(text.splitlines()) < 40
    done = lossmark("check", "-q", "--impl", "my_losses.py", "--dtype", "float32", "--dtype", "float16", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert " 0 fail, 0 error" in done.stdout
    assert not done.stdout.lstrip().startswith("0 pass")


def test_a_spec_is_certified_as_it_is_written(tmp_path):
    done = lossmark("new", "loss", "specs/my_own.yaml", cwd=tmp_path)
    assert done.stdout == "specs/my_own.yaml: now run: lossmark certify --specs specs\n"
    assert lossmark("certify", "--check", "--specs", "specs", cwd=tmp_path).returncode == 1, "nothing is certified yet"
    assert lossmark("certify", "--specs", "specs", cwd=tmp_path).returncode == 0
    done = lossmark("certify", "--check", "--specs", "specs", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "1 specs, 2 cases: all values certified\n")
    assert "my_loss" not in (tmp_path / "specs" / "my_own.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("impl", "there.py"), "there.py: File exists"),
        (("impl", "new.txt"), "new.txt: expected the name of a Python file"),
        (("impl", "new.py", "--framework", "torhc"), "unknown framework 'torhc', expected one of numpy, "),
        (("loss", "there.yaml"), "there.yaml: File exists"),
        (("loss", "No-Id.yaml"), "No-Id.yaml: expected the id of the loss and .yaml"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(arguments, message, tmp_path):
    for name in ("there.py", "there.yaml"):
        (tmp_path / name).write_text("mine\n", encoding="utf-8")
    done = lossmark("new", *arguments, cwd=tmp_path)
    assert done.returncode == 3
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.py", "there.yaml"]
    assert (tmp_path / "there.py").read_text(encoding="utf-8") == "mine\n"
