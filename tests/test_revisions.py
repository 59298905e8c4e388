"""Two revisions of lossmark whose messages differ find that out at once, whichever of them asks."""

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from lossmark.adapters.registry import Reference
from lossmark.gate.steps import OTHER_REVISION
from lossmark.sandbox.process import OTHER_MESSAGES, Worker
from lossmark.sandbox.wire import MAGIC
from tests.processes import lossmark
from tests.test_gate import QUICK, SOURCE

ROOT = Path(__file__).parents[1]
WITH_PICKLES = "876353b203"
"""A revision that unpickled messages, in this repository's history."""
AS_IT_WAS = """
import sys
from multiprocessing.connection import Connection
Connection(int(sys.argv[1])).recv()
"""
"""The door of a worker that unpickles messages."""
CHANGES = {
    "pickles": ("worker.py", lambda text: AS_IT_WAS),
    "other fields": ("sandbox/messages.py", lambda text: text.replace("bandwidth: float", "bandwidth: int")),
}


def git(*arguments, folder):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True).stdout


def changed(folder, change):
    """A repository of lossmark with other messages."""
    for name in ("src", "specs", "impls", "conformance"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "adapter.py").write_text(SOURCE)
    name, made_other = CHANGES[change]
    path = folder / "src" / "lossmark" / name
    present = path.read_text()
    path.write_text(made_other(present))
    assert path.read_text() != present
    identity = ("-c", "user.email=somebody@example.com", "-c", "user.name=Somebody")
    git("init", "--quiet", folder=folder)
    git("add", ".", folder=folder)
    git(*identity, "commit", "--quiet", "-m", "base", folder=folder)


def hello(tree):
    """What a worker of another tree says of itself, and after how many seconds."""
    path = f"{tree / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    worker = Worker(Reference("numpy", "numpy", "numpy"), {"PYTHONPATH": path})
    begun = time.monotonic()
    try:
        return worker.start(), time.monotonic() - begun
    finally:
        worker.stop()


@pytest.mark.parametrize("change", CHANGES)
def test_a_worker_with_other_messages_is_known_by_its_first_word(change, tmp_path):
    changed(tmp_path, change)
    found, seconds = hello(tmp_path)
    assert found.error == OTHER_MESSAGES
    assert seconds < 60


def test_a_gate_says_once_that_its_base_speaks_other_messages(tmp_path):
    """Cells are compared all the same."""
    changed(tmp_path, "other fields")
    name, _ = CHANGES["other fields"]
    shutil.copy(ROOT / "src" / "lossmark" / name, tmp_path / "src" / "lossmark" / name)
    (tmp_path / "adapter.py").write_text(SOURCE + "# changed\n")
    done = lossmark("gate", "--base", "HEAD", "--impl", "adapter.py", "--format", "json", *QUICK, cwd=tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [item["text"] for item in found["findings"]] == [OTHER_REVISION]
    assert not found["benchmarks"]
    assert found["cells"]["base"] == found["cells"]["head"]
    assert found["cells"]["base"]["pass"]


def test_a_worker_that_is_sent_a_pickle_says_why_it_ends():
    here, there = socket.socketpair()
    command = [sys.executable, "-m", "lossmark.worker", str(there.fileno())]
    with subprocess.Popen(command, pass_fds=[there.fileno()], stderr=subprocess.PIPE, text=True) as worker:
        there.close()
        asking = Connection(here.detach())
        asking.send({"framework": "numpy", "sources": ("numpy",)})
        with pytest.raises((EOFError, ConnectionResetError)):
            asking.recv()
        _, complaints = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert "the judge is of a revision that speaks other messages" in complaints.strip().splitlines()[-1]


def test_a_revision_with_pickles(tmp_path):
    try:
        archive = git("archive", WITH_PICKLES, "src", "impls", folder=ROOT)
    except subprocess.CalledProcessError:
        pytest.skip("the history of this repository does not go back so far")
    subprocess.run(["tar", "-x"], input=archive, cwd=tmp_path, check=True)
    found, seconds = hello(tmp_path)
    assert found.error == OTHER_MESSAGES
    assert seconds < 60


def test_the_first_bytes_of_a_frame_are_no_pickle():
    assert int.from_bytes(MAGIC[:4], "big") == len(MAGIC) - 4
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(MAGIC[4:])
