"""Second derivatives agree with differences of independent gradients; a term that is silently left out is told."""

from dataclasses import replace

import numpy as np
import pytest
from mpmath import mpf

from lossmark.adapters.installed import framework_version
from lossmark.checks.curvature import ALONG, curved, directed, without
from lossmark.dtypes import FLOAT64
from lossmark.sandbox.messages import Answer
from lossmark.sandbox.work_queue import Served
from lossmark.specification.library import losses
from lossmark.suite.plan import Choice, plan
from lossmark.suite.suite import Suite
from lossmark.tolerance.expected import expected
from tests.independent import LOSSES
from tests.independent_pairs import BATCHES, in_rows
from tests.miniatures import TORCH
from tests.test_conformance import held

STEP = mpf(2) ** -120
"""Of a central difference; its error is about the square of it, the arithmetic has 400 bits."""
FUSED = (
    TORCH
    + """
class Softplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(torch.sigmoid(x))
        return torch.logaddexp(x, torch.zeros_like(x))
    @staticmethod
    {decorator}
    def backward(ctx, g):
        {guard}
        return g * ctx.saved_tensors[0]
@impl.loss
def bpr(u, d_pos, d_neg, *, reduction="mean"):
    floating(u)
    if not (u.shape == d_pos.shape == d_neg.shape): raise ValueError("shapes")
    w = torch.float64 if u.dtype == torch.float64 else torch.float32
    u_, p, n = u.to(w), d_pos.to(w), d_neg.to(w)
    return reduced(Softplus.apply((u_ * n).sum(-1) - (u_ * p).sum(-1)), reduction).to(u.dtype)
"""
)


def _smooth(loss):
    """Golden cases that are twice differentiable: no kink, no zero distance, nothing beyond ordinary numbers."""
    for case in loss.golden("float64"):
        ordinary = all(np.isfinite(x).all() and (abs(x) < 100).all() for x in case.inputs.values())
        if ordinary and case.case_class in ("generic", "exact-dyadic"):
            kink = expected(loss, case, FLOAT64, np.ones(case.batch), ("sum",)).kinks["sum"]
            smooth = case if kink is None else without(case, kink.rows)
            if smooth.batch:
                yield smooth


def _moved(case, row, loss, steps):
    moved = {}
    for name in loss.model.inputs:
        row_of = row if case.by_example(name) else ...
        numbers = case.inputs[name][row_of]
        if name in loss.indices:
            moved[name] = int(numbers)
            continue
        x = np.vectorize(mpf, otypes=[object])(numbers)
        if name in loss.gradient_of:
            x = x + steps * np.vectorize(mpf, otypes=[object])(case.inputs[ALONG + name][row_of])
        moved[name] = np.asarray(x).tolist()
    return moved


def _slopes(case, loss, steps, params):
    """The independent gradient at the moved inputs, as arrays of their shapes: what examples share collects a sum."""
    if loss.id in BATCHES:
        wide = np.vectorize(mpf, otypes=[object])
        moved = {name: wide(case.inputs[name]) + steps * wide(case.inputs[ALONG + name]) for name in loss.gradient_of}
        inputs = {item.name: case.inputs[item.name] for item in loss.inputs} | moved
        found = [slopes for _, slopes in in_rows(loss.id, inputs, params)]
    else:
        found = [LOSSES[loss.id](**_moved(case, row, loss, steps), **params)[1] for row in range(case.batch)]
    arrays = {name: np.array([one[name] for one in found], dtype=object) for name in loss.gradient_of}
    return {name: array if case.by_example(name) else array.sum(axis=0) for name, array in arrays.items()}


@pytest.mark.parametrize("loss", losses().values(), ids=losses())
def test_second_derivatives_agree_with_differences_of_independent_gradients(loss):
    compared = 0
    for smooth in _smooth(loss):
        case = directed(smooth, loss)
        params = {name: x if isinstance(x, str) else mpf(x) for name, x in loss.params(case.params).items()}
        found = expected(curved(loss), case, FLOAT64, np.ones(case.batch), ("sum",)).gradients["sum"]
        there, back = (_slopes(case, loss, steps, params) for steps in (STEP, -STEP))
        for name, accepted in found.items():
            shape = there[name].shape
            free = np.zeros(shape, bool) if accepted.unspecified is None else _spread(accepted.unspecified, shape)
            exact = (there[name] - back[name]) / (2 * STEP)
            pairs = zip(*map(np.ravel, (accepted.exact, accepted.exact_low, exact, free)), strict=True)
            for hi, lo, x, unspecified in pairs:
                if not unspecified:
                    assert abs(mpf(float(hi)) + mpf(float(lo)) - x) <= mpf(2) ** -85 * (1 + abs(x))
                    compared += 1
    assert compared > 100 or (compared > 20 and len(loss.gradient_of) == 1)


def _spread(mask, shape):
    """A mask over whole examples, or over the numbers of each, as one over numbers."""
    return np.broadcast_to(mask.reshape(mask.shape + (1,) * (len(shape) - mask.ndim)), shape)


@pytest.mark.skipif(framework_version("torch") is None, reason="written for torch")
@pytest.mark.parametrize(
    ("decorator", "guard", "grade", "words"),
    [
        ("", "", "grade: wrong without a word", "second derivative of mean by u"),
        # torch raises only where the incoming gradient has a gradient itself: here it is the constant 1/B
        ("@torch.autograd.function.once_differentiable", "", "grade: wrong without a word", "of mean by u"),
        ("", "if torch.is_grad_enabled(): raise RuntimeError('once only')", "grade: it cannot", "once only"),
    ],
    ids=["silent", "once_differentiable", "raises"],
)
def test_a_guest_is_told_that_it_is_once_differentiable(decorator, guard, grade, words, tmp_path):
    source = FUSED.format(decorator=decorator, guard=guard)
    _, results = held(source, tmp_path, "--case", "bpr/small-integers", "--dtype", "float64")
    (cell,) = [cell for cell in results.cells if cell.check == "curvature"]
    assert cell.detail.startswith(grade), cell
    assert words in cell.detail
    assert {c.verdict for c in results.cells} <= {"pass", "unsupported"}


def test_lossmark_itself_may_not_be_wrong_in_silence(monkeypatch):
    """The same answer of a function of lossmark's own is a failure."""
    run = next(r for r in plan(losses(), Choice(impls=("numpy",), losses=("bpr",))) if "state" in r.checks)
    wrong = Answer({}, {"mean": {name: np.ones_like(run.case.inputs[name]) for name in run.loss.gradient_of}})
    suite = Suite()
    try:
        monkeypatch.setattr(suite._answers, "to", lambda message, run, check: Served(wrong))
        assert suite.cells(replace(run, checks=("curvature",)))[0].verdict == "fail"
    finally:
        suite.close()
