"""The tests that import frameworks: each file in a process of its own, because some crash beside others."""

import subprocess
import sys
from pathlib import Path

import pytest

from lossmark.adapters.installed import framework_version

TESTS = Path(__file__).parent
FILES = sorted([*TESTS.glob("in_process/test_*.py"), *TESTS.glob("third_party/test_*.py")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_with_frameworks_in_this_process(path):
    text = path.read_text(encoding="utf-8") + (TESTS / path.parent.name / "examples.py").read_text(encoding="utf-8")
    for framework in ("torch", "tensorflow", "jax"):
        if f"import {framework}" in text and not framework_version(framework):
            pytest.skip(f"{framework} is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TESTS.parent)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
