"""A gate against a revision: its own packages, nothing left behind, whatever happens to it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.processes import awaited, children, lossmark, started
from tests.test_gate import QUICK, SOURCE


def repository(folder):
    """A repository with an adapter and a package that it imports; returns a function that runs git there."""

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout

    package = folder / "mylib"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "core.py").write_text("FACTOR = 1.0\n")
    adapter = SOURCE.replace("import numpy as np", "import numpy as np\nfrom mylib.core import FACTOR")
    (folder / "adapter.py").write_text(adapter.replace("    x = ", "    u = u * u.dtype.type(FACTOR)\n    x = "))
    (folder / "README.md").write_text("a library\n")
    git("init", "--quiet")
    git("config", "user.email", "somebody@example.com")
    git("config", "user.name", "Somebody")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    return git


def test_a_revision_is_checked_out_with_its_own_package_and_removed_again(tmp_path):
    git = repository(tmp_path)
    (tmp_path / "mylib" / "core.py").write_text("FACTOR = 1.5\n")
    options = ("gate", "--base", "HEAD", "--impl", "adapter.py", "--format", "json", *QUICK)
    done = lossmark(*options, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert done.returncode == 1, found
    assert any("was pass, is fail" in item["text"] for item in found["findings"])
    assert "uncommitted" in found["head"]
    assert git("worktree", "list").count("\n") == 1
    assert not git("status", "--porcelain", "--untracked-files=no").replace(" M mylib/core.py", "").strip()


def test_what_must_be_built_is_built_for_the_base_alone(tmp_path):
    """The base's module lies where its command has put it, the head's in its own tree."""
    git = repository(tmp_path)
    (tmp_path / "mylib" / "core.py").write_text("from built import FACTOR\n")
    (tmp_path / "build.py").write_text(
        "import pathlib, sysconfig\n"
        "pathlib.Path(sysconfig.get_path('purelib'), 'built.py').write_text('FACTOR = 1.0\\n')\n"
    )
    git("add", ".")
    git("commit", "--quiet", "-m", "built")
    (tmp_path / "built.py").write_text("FACTOR = 1.5\n")
    gate = ("gate", "--base", "HEAD", "--impl", "adapter.py", "--format", "json", *QUICK)
    done = lossmark(*gate, "--install", "python build.py", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert any("was pass, is fail" in item["text"] for item in json.loads(done.stdout)["findings"])
    done = lossmark(*gate, "--install", "python nosuch.py", cwd=tmp_path)
    assert done.returncode == 3
    (line,) = done.stderr.strip().splitlines()
    assert "--install" in line


def test_documentation_alone_passes_and_no_revision_is_a_usage_error(tmp_path):
    repository(tmp_path)
    (tmp_path / "README.md").write_text("a library, described\n")
    assert lossmark("gate", "--base", "HEAD", "--impl", "adapter.py", cwd=tmp_path).returncode == 0
    for wrong in (("--base", "nosuch", "--impl", "adapter.py"), ("--base", "HEAD"), ("--base", "adapter.py")):
        done = lossmark("gate", *wrong, cwd=tmp_path)
        assert done.returncode == 3
        assert len(done.stderr.strip().splitlines()) == 1


@contextlib.contextmanager
def running(folder):
    """A gate of a revision against a change of an adapter, and how to see its workers; whatever it left fails."""
    git = repository(folder)
    (folder / "adapter.py").write_text((folder / "adapter.py").read_text() + "\n# changed\n")
    variables = os.environ | {"TMPDIR": str(folder / "scratch")}
    (folder / "scratch").mkdir()
    command = [sys.executable, "-m", "lossmark", "gate", "--base", "HEAD", "--impl", "adapter.py", *QUICK]
    seen = set()

    def workers():
        found = children(gate.pid)
        seen.update(found)
        return [child for child in found if "lossmark.worker" in command_of(child)]

    with started(command, cwd=folder, env=variables) as gate:
        yield gate, workers
    _, alive = psutil.wait_procs(seen, timeout=10)
    assert not alive
    assert git("worktree", "list").count("\n") == 1
    assert not list((folder / "scratch").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_gate_leaves_nothing(number, tmp_path):
    with running(tmp_path) as (gate, workers):
        awaited(workers)
        gate.send_signal(number)
        gate.communicate(timeout=60)
    assert gate.returncode == 3


def test_a_gate_whose_workers_are_killed_says_so_and_leaves_nothing(tmp_path):
    with running(tmp_path) as (gate, workers):
        until = time.monotonic() + 120
        while gate.poll() is None and time.monotonic() < until:
            for worker in workers():
                with contextlib.suppress(psutil.NoSuchProcess):
                    worker.kill()
            time.sleep(0.05)
        words, complaints = gate.communicate(timeout=60)
    assert gate.returncode in (1, 3), complaints
    assert b"Traceback" not in complaints
    assert b"regression" in words or b"harness error" in words


def command_of(process):
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
