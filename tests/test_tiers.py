"""Which tests run always and which each night: nobody's name is left over, and of each kind some run always."""

import fnmatch
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import long_ones

ROOT = Path(__file__).parents[1]


def collected(mark):
    command = [sys.executable, "-m", "pytest", "tests", "--collect-only", "-q", "-p", "no:cacheprovider", "-m", mark]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = [line.removeprefix("tests/") for line in done.stdout.splitlines() if "::" in line]
    assert names, done.stdout + done.stderr
    return names


@pytest.fixture(scope="module")
def long():
    return collected("long")


def test_every_pattern_names_a_test(long):
    assert [pattern for pattern in long_ones() if not any(fnmatch.fnmatchcase(name, pattern) for name in long)] == []


def test_few_tests_are_long_and_of_hardly_any_file_all(long):
    always = collected("not long and not soak")
    assert len(long) < len(always) / 20
    assert {name.partition("::")[0] for name in long} - {name.partition("::")[0] for name in always} == {
        "test_faulty.py"
    }
