"""What loading and first calls leave behind is seen, and told apart from what merely adds."""

import os
import random
import sys
import warnings

import numpy as np
import pytest

from lossmark.adapters.installed import framework, framework_version
from lossmark.sandbox.global_state import GlobalState
from tests.miniatures import RIGHT
from tests.test_conformance import held

WRONG = {
    "random.seed(0)": "random numbers of Python are changed",
    "np.random.seed(0)": "random numbers of NumPy are changed",
    "np.seterr(over='ignore')": "numpy.geterr",
    "os.environ['PATH'] = ''": "environment: PATH is changed",
    "os.environ.pop('PATH')": "environment: PATH is changed",
    "os.chdir('/')": "working directory",
    "sys.path.clear()": "import path",
    "warnings.resetwarnings()": "warning filters",
}
ADDING = {
    "random.random()": "random numbers of Python are drawn",
    "np.random.random(10_000)": "random numbers of NumPy are drawn",
    "os.environ['LOSSMARK_ADDED'] = '1'": "environment: LOSSMARK_ADDED is added",
    "sys.path.append('/nowhere')": "import path",
    "warnings.filterwarnings('ignore')": "warning filters",
    "warnings.filterwarnings('ignore', module='nobody')": "warning filters",
    "np.added = 1": "",
}
HARMLESS = ("sys.path.append('/nowhere')", "warnings.filterwarnings('ignore', module='nobody')", "np.added = 1")
"""What even a first call may add."""


@pytest.fixture
def begun():
    """Begins to watch this process, whose state is put back after the test."""
    numbers = random.getstate(), np.random.get_state()
    folder, path, variables = os.getcwd(), list(sys.path), dict(os.environ)
    random.seed(0), np.random.seed(0)
    with warnings.catch_warnings(), np.errstate():
        yield lambda: GlobalState(framework("numpy"), ())
    random.setstate(numbers[0]), np.random.set_state(numbers[1])
    os.chdir(folder)
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(variables)
    vars(np).pop("added", None)


def lines(found):
    return [line.partition(": ")[2] for line in found]


@pytest.mark.parametrize("statement", WRONG)
def test_what_loading_changes_is_wrong(statement, begun):
    state = begun()
    exec(statement)
    state.loaded()
    found = lines(state.by_loading.wrong)
    assert len(found) == 1, found
    assert found[0].startswith(WRONG[statement])
    assert not state.by_loading.additions


@pytest.mark.parametrize("statement", ADDING)
def test_what_loading_adds_is_a_remark(statement, begun):
    state = begun()
    exec(statement)
    state.loaded()
    assert not state.by_loading.wrong
    assert lines(state.by_loading.additions) == [ADDING[statement]] * bool(ADDING[statement])


@pytest.mark.parametrize("statement", [*WRONG, *ADDING])
def test_what_only_the_first_call_does_is_seen(statement, begun):
    state = begun()
    done = []

    def function():
        if not done:
            done.append(1)
            exec(statement)

    state.loaded()
    first = state.first(function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as everywhere around calls: adding such a filter would change nothing
        first()
    found = state.by_calling(first) + first.changes
    assert bool(found.wrong) == (statement not in HARMLESS), found


def test_a_first_call_that_fails_is_not_the_last_that_is_watched(begun):
    state = begun()
    state.loaded()
    calls = iter([ZeroDivisionError, None])

    def function():
        error = next(calls)
        if error:
            raise error
        random.random()

    first = state.first(function)
    with pytest.raises(ZeroDivisionError):
        first()
    assert not first.changes.wrong
    first()
    assert first.changes.wrong == ("the first call: random numbers of Python are changed",)


@pytest.mark.parametrize(
    ("statement", "verdict", "words"),
    [
        ("import random; random.seed(0)", "fail", "loading: random numbers of Python are changed"),
        ("import os; os.environ['LOSSMARK_ADDED'] = '1'", "pass", "loading: environment: LOSSMARK_ADDED is added"),
    ],
)
def test_a_file_that_changes_the_process_when_it_is_loaded_is_told_so(statement, verdict, words, tmp_path):
    source = RIGHT["numpy, values only"].replace("impl = ", f"{statement}\nimpl = ", 1)
    _, results = held(source, tmp_path, "--case", "bpr/small-integers", "--dtype", "float64")
    (cell,) = [cell for cell in results.cells if cell.check == "state"]
    assert cell.verdict == verdict
    assert words in cell.detail
    assert {c.verdict for c in results.cells if c.check != "state"} <= {"pass", "unsupported"}


@pytest.mark.skipif(framework_version("torch") is None, reason="settings of torch")
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("torch.set_default_dtype(torch.float64)", "default dtype: torch.float32 → torch.float64"),
        ("torch.manual_seed(7)", "seed"),
    ],
)
def test_settings_of_the_framework_that_loading_changes_are_wrong(statement, words):
    import torch

    before = torch.get_default_dtype(), torch.get_rng_state()
    state = GlobalState(framework("torch"), ())
    try:
        exec(statement)
        state.loaded()
    finally:
        torch.set_default_dtype(before[0])
        torch.default_generator.manual_seed(67280421310721)
        torch.set_rng_state(before[1])
    assert any(words in line for line in state.by_loading.wrong), state.by_loading
