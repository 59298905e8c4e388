"""What crashes or times out is tried again, alone, before it is blamed; and blamed for what it does, no more."""

import threading
from collections import Counter

import pytest

from lossmark.adapters.registry import Reference
from lossmark.sandbox.limits import Limits
from lossmark.sandbox.process import PATIENCE, Worker
from lossmark.sandbox.turns import Turns
from lossmark.specification.library import losses
from lossmark.suite.patience import Patience
from lossmark.suite.plan import Choice, plan
from lossmark.suite.suite import Suite
from tests.processes import awaited
from tests.test_conformance import held

GUEST = """
import os, pathlib, time
import numpy as np
from lossmark import Implementation
tried = pathlib.Path(__file__).with_suffix(".tried")
def once(fault):
    if not tried.exists():
        tried.touch()
        fault()
{implementations}
"""
BPR = """
{name} = Implementation("{name}", framework="numpy")
@{name}.loss("bpr")
def {name}_bpr(u, d_pos, d_neg, *, reduction="mean"):
    if not u.shape == d_pos.shape == d_neg.shape: raise ValueError("shapes")
    if "float" not in str(u.dtype): raise TypeError("dtypes")
    {does}
    w = np.float64 if u.dtype == np.float64 else np.float32
    u, p, n = u.astype(w), d_pos.astype(w), d_neg.astype(w)
    if not len(u) and reduction == "mean": raise ValueError("an empty batch has no mean")
    l = np.logaddexp((u * n).sum(-1) - (u * p).sum(-1), 0)
    return np.asarray(l if reduction == "none" else l.sum() if reduction == "sum" else l.mean()).astype(d_pos.dtype)
"""


def source(**faults):
    return GUEST.replace(
        "{implementations}", "".join(BPR.format(name=name, does=does) for name, does in faults.items())
    )


def judged(folder, case="bpr/worked", dtypes=("float32",), **faults):
    """The cells of guests that are right but for what they do."""
    (folder / "guests.py").write_text(source(**faults))
    runs = plan(losses(), Choice(impls=(str(folder / "guests.py"),), losses=("bpr",), dtypes=dtypes, case=case))
    suite = Suite(runs)
    try:
        return [cell for run in runs for cell in suite.cells(run)]
    finally:
        suite.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(Worker, "limits", Limits(cell=1.5, idle=2.0))


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("os.abort", "the process ended (signal 6)"),
        ("lambda: time.sleep(1e6)", "no result, and no processor time used for 2 s"),
        ("lambda: [None for _ in iter(int, 1)]", "no result within 1.5 s of processor time"),
    ],
)
def test_what_happens_once_is_told_and_not_blamed(fault, why, tmp_path):
    found = judged(tmp_path, case=f"{losses()['bpr'].host.id}", mini=f"once({fault})")
    assert {cell.verdict for cell in found} <= {"pass", "unsupported"}
    retried = [cell for cell in found if cell.retried]
    assert retried
    assert len(retried) < len(found)
    assert all(why in cell.retried for cell in retried)


def test_what_was_tried_twice_is_in_results_and_summary_and_changes_no_exit_code(tmp_path):
    done, results = held(source(mini="once(os.abort)"), tmp_path, "--dtype", "float32", "--case", "bpr/worked")
    assert done.returncode == 0, done.stdout
    retried = [cell for cell in results.cells if cell.retried]
    assert {cell.check for cell in retried if cell.verdict == "pass"} == {"value", "result", "unmodified"}
    assert f"{len(retried)} cells of mini tried twice, the second time alone, after: the process ended" in done.stdout


def test_a_crash_on_empty_batches_is_blamed_for_empty_batches_alone(tmp_path):
    """In every dtype, which is more often than an implementation may crash."""
    dtypes = ("float64", "float32", "bfloat16", "float16")
    assert len(dtypes) > PATIENCE
    found = judged(tmp_path, losses()["bpr"].host.id, dtypes, mini="if not len(u): os.abort()")
    empty = [cell for cell in found if cell.check == "empty"]
    assert [cell.verdict for cell in empty] == ["error"] * len(dtypes)
    assert all("signal 6" in cell.detail for cell in empty[:PATIENCE])
    assert "empty is given up after 3 crashes or hangs at it" in empty[-1].detail
    others = Counter(cell.verdict for cell in found if cell.check != "empty")
    assert not others["error"]
    assert not others["fail"]
    assert {cell.check for cell in found if cell.verdict == "pass"} >= {"arguments", "deterministic", "layout"}


def test_what_crashes_everywhere_is_given_up_and_its_neighbour_is_not(tmp_path):
    found = judged(tmp_path, "bpr/*", bad="os.abort()", good="pass")
    bad, good = ([cell for cell in found if cell.impl == name] for name in ("bad", "good"))
    assert {cell.verdict for cell in good} <= {"pass", "unsupported", "not-run"}
    assert not any(cell.retried for cell in good)
    assert {cell.verdict for cell in bad} <= {"error", "unsupported"}
    assert any("given up after 3 crashes or hangs" in cell.detail for cell in bad)
    assert len({cell.case for cell in bad if cell.retried}) < len({cell.case for cell in bad})


def test_strikes_are_of_an_implementation_and_of_a_check():
    one, other = (Reference("file.py", name, "numpy") for name in ("one", "other"))
    patience = Patience()
    for _ in range(PATIENCE):
        assert not patience.over(one, "empty")
        patience.lost(one, "empty")
    assert patience.over(one, "empty")
    for check in ("arguments", "value", ""):
        assert not patience.over(one, check)
    for check in ("value", "gradient", ""):
        patience.lost(one, check)
    assert patience.over(one, "arguments")
    assert not patience.over(other, "empty")


def test_who_is_alone_waits_for_those_before_and_keeps_those_after_waiting():
    turns, order = Turns(2), []
    begun, finish = threading.Event(), threading.Event()

    def beside(name, wait):
        with turns.beside():
            begun.set()
            wait.wait(60)
            order.append(name)

    def alone():
        with turns.alone():
            assert turns._computing == 1
            order.append("alone")

    first = threading.Thread(target=beside, args=("first", finish))
    first.start()
    assert begun.wait(60)
    second = threading.Thread(target=alone)
    second.start()
    awaited(lambda: turns._alone)
    third = threading.Thread(target=beside, args=("third", finish))
    third.start()
    finish.set()
    for thread in (first, second, third):
        thread.join(60)
    assert order == ["first", "alone", "third"]
