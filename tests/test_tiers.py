"""Which tests run always and which each night: every pattern names one, and of hardly any file all are long."""

import fnmatch
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import long_ones

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def names():
    """Of all tests but the soaks."""
    command = [sys.executable, "-m", "pytest", "tests", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, "-m", "not soak"], cwd=ROOT, capture_output=True, text=True, check=False)
    found = [line.removeprefix("tests/") for line in done.stdout.splitlines() if "::" in line]
    assert found, done.stdout + done.stderr
    return found


def test_every_pattern_names_a_test(names):
    assert [pattern for pattern in long_ones() if not fnmatch.filter(names, pattern)] == []


def test_few_tests_are_long_and_of_hardly_any_file_all(names):
    long = {name for pattern in long_ones() for name in fnmatch.filter(names, pattern)}
    always = set(names) - long
    assert len(long) < len(always) / 20
    files, others = ({name.partition("::")[0] for name in some} for some in (long, always))
    assert files - others == {"test_faulty.py"}
