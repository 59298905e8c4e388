"""The grade of sums of many terms: who adds them up one after the other is told so, and fails nothing."""

import numpy as np
import pytest

from lossmark import Implementation
from lossmark.checks.ordinary import BEYOND_ROOT
from lossmark.sandbox.describe import described
from lossmark.sandbox.target import target_of
from lossmark.specification.library import losses
from lossmark.suite.explain import explain
from lossmark.suite.in_process import InProcess
from lossmark.suite.plan import Choice, plan_targets
from lossmark.suite.suite import Suite


def pairwise(x):
    return np.sum(x, axis=1)


def serial(x):
    return np.cumsum(x, axis=1, dtype=x.dtype)[:, -1]


@pytest.fixture
def value(monkeypatch):
    """The cell of the value on the vocabulary, of a divergence whose sums are taken by a function."""
    suites = []

    def of(total):
        impl = Implementation("mine", framework="numpy")

        @impl.loss
        def kl_div(log_q, p, *, reduction="mean"):
            with np.errstate(divide="ignore", invalid="ignore"):
                each = np.where(p == 0, 0, p * (np.log(p) - log_q)).astype(p.dtype)
            rows = total(each)
            return {"none": rows, "sum": rows.sum(), "mean": rows.mean()}[reduction]

        choice = Choice(dtypes=("float32",), case="kl_div/vocabulary-rows")
        runs = plan_targets(losses(), choice, [target_of(described(impl, ""))])
        suites.append(Suite(runs, ahead=False, answers=InProcess(impl)))
        return next(cell for cell in suites[-1].cells(runs[0]) if cell.check == "value")

    yield of
    for suite in suites:
        suite.close()


def test_a_serial_sum_of_many_terms_passes_with_a_grade(value):
    good, poor = value(pairwise), value(serial)
    assert (good.verdict, good.grade) == ("pass", "")
    assert good.detail.endswith("of the bound by √n")
    assert (poor.verdict, poor.grade) == ("pass", BEYOND_ROOT)
    assert poor.budget_used < 1 < float(poor.detail.split()[0])


def test_what_underflow_alone_decides_is_told():
    """float16 holds hardly any share of a class that nobody expects."""
    text = explain("cross_entropy/subnormal-half", "float16")
    assert "may be flushed to zero" in text
    assert "may be flushed to zero" not in explain("cross_entropy/worked", "float32")
