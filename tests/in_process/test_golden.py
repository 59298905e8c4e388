"""lossmark.testing says of golden cases what the suite says: the same bound, and the same verdict on right and wrong.

The suite reads the golden cases of a loss as one batch, and beside a case with infinities, or with several kinks, the
bounds of its neighbours may be wider than alone. So each case is read alone here, and held to the suite's checks.
"""

from dataclasses import replace

import numpy as np
import pytest

from lossmark.adapters.registry import load
from lossmark.checks.prepared import Unsupported
from lossmark.sandbox.messages import Answer, Failure, Returned
from lossmark.sandbox.target import own
from lossmark.specification.library import losses
from lossmark.suite.in_process import InProcess
from lossmark.suite.plan import Choice, plan_targets
from lossmark.suite.suite import Suite
from lossmark.testing.conformity import Conformity
from lossmark.testing.given import given
from lossmark.testing.judged import allowed, judged
from lossmark.testing.trial import trial
from lossmark.tolerance.expected import expected

WIDEST = 5000
"""Cases of a whole vocabulary take long, and say nothing else."""
FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax")


def runs(framework, loss, dtypes, widest):
    """The ordinary runs of golden cases, with what answers them."""
    found = plan_targets(losses(), Choice(losses=(loss,), dtypes=dtypes, modes=("eager",)), [own(framework)])
    golden = [run for run in found if getattr(run.case, "golden", None) and run.case.error is None]
    return [run for run in golden if run.case.width <= widest]


def corrupted(array, bound, *, many):
    """The result as it came, and wrong ones: beyond the bound by little, none; by much, within it, infinite too."""
    yield array
    wrong = np.array(array, array.dtype)
    first = (0,) * wrong.ndim
    if wrong.size:
        x, e = float(array[first]), float(bound[first])
        for other in (x + 3 * e, np.nan, *((x - 0.5 * e, x * 2 + 1e-3, np.inf) if many else ())):
            with np.errstate(over="ignore"):
                wrong[first] = other
            yield wrong.copy()


def call(found, reduction):
    """The call of a case as a test would make it: tensors of the framework, for one reduction."""
    prepared, adapter = found.prepared, load(found.run.target.name).framework
    inputs = {name: adapter.from_numpy(array) for name, array in prepared.arrays.items()}
    cotangent = prepared.weights if reduction == "none" else None
    return trial(given(found.run.loss.id, inputs, prepared.case.params), reduction, cotangent, None, None, ())


def in_the_suite(found, reduction, value, grads):
    """The cells of the suite about a value and gradients under one reduction."""
    outcome = found.answer.values[reduction]
    answer = Answer({reduction: replace(outcome, array=value)}, {} if grads is None else {reduction: grads})
    one = replace(found, answer=answer, gradual=None)
    return [one.value()] if grads is None else [one.value(), one.gradient()]


def disagreement(found, reduction, value, grads):
    """How the two judge a result otherwise; empty where they agree."""
    adapter = load(found.run.target.name).framework
    cells = in_the_suite(found, reduction, value, grads)
    zeros = {name: np.zeros(found.case.inputs[name].shape, found.dtype.numpy) for name in found.run.loss.gradient_of}
    native = None if grads is None else {k: adapter.from_numpy(np.asarray(v)) for k, v in {**zeros, **grads}.items()}
    says = judged(call(found, reduction), adapter.from_numpy(np.asarray(value)), native)
    verdicts = [cell.verdict for cell in cells]
    if isinstance(says, Conformity) == ("fail" in verdicts and not any(cell.detail == OWN for cell in cells)):
        return f"{verdicts} but {says}"
    if isinstance(says, Conformity):
        used = max((cell.budget_used for cell in cells if cell.verdict == "pass"), default=0.0)
        grade = next((cell.grade for cell in cells if cell.grade), "accurate")
        told = any(cell.verdict == "pass" for cell in cells)
        if told and (says.budget_used, says.grade) != (used, grade):
            return f"{used} {grade} but {says}"
        if not told and says.judged:
            return f"{verdicts} but {says}"
    return ""


OWN = "loses digits that the formula keeps"
"""A grade that the suite does not let pass of lossmark's own implementations, which these are not here."""


def compared(framework, loss, dtypes, *, wrong, many=False, most=None):
    """The number of results that both judged alike, ``wrong`` ones with them; the first that is not fails."""
    implementation = load(framework)
    planned = runs(framework, loss, dtypes, WIDEST if many else WIDEST // 50)[:most]
    suite = Suite(planned, ahead=False, answers=InProcess(implementation))
    number = 0
    for run in planned:
        try:
            found = suite.judged(run)
        except Unsupported:
            continue
        if isinstance(found, Failure):
            continue
        assert all(cell.verdict != "fail" for cell in found.cells() if cell.detail != OWN)
        prepared = found.prepared
        alone = expected(prepared.held_to, prepared.meant, prepared.dtype, prepared.weights)
        found = replace(found, truth=alone)
        for reduction, outcome in found.answer.values.items():
            grads = found.answer.gradients.get(reduction)
            if not isinstance(outcome, Returned) or isinstance(grads, Failure):
                continue
            limits = allowed(call(found, reduction), None)
            truth = found.truth.values[reduction]
            assert np.array_equal(limits.exact, truth.exact, equal_nan=True), (run.id, reduction)
            assert np.array_equal(limits.bound, truth.bound, equal_nan=True), (run.id, reduction)
            results = list(corrupted(outcome.array, truth.bound, many=many)) if wrong else [outcome.array]
            for value in results:
                assert not (how := disagreement(found, reduction, value, grads)), f"{run.id} {reduction}: {how}"
            number += len(results)
            name = run.loss.gradient_of[0]
            if grads and wrong and name in grads:
                slope = found.truth.gradients[reduction][name]
                assert np.array_equal(limits.grads[name].exact, slope.exact, equal_nan=True), run.id
                for array in list(corrupted(grads[name], slope.bound, many=many))[1:]:
                    how = disagreement(found, reduction, outcome.array, {**grads, name: array})
                    assert not how, f"{run.id} gradient of {reduction}: {how}"
                    number += 1
    return number


@pytest.fixture(autouse=True)
def float64_everywhere(request):
    """JAX has float64 here, as it has where the suite judges."""
    adapter = load(request.node.callspec.params.get("framework", "numpy")).framework
    restore = adapter.restoring()
    adapter.setup()
    yield
    restore()


@pytest.mark.parametrize("loss", losses())
def test_right_and_wrong_results_are_judged_as_the_suite_judges_them(loss):
    assert compared("numpy", loss, ("bfloat16",), wrong=True, most=16) > 40


@pytest.mark.parametrize("framework", FRAMEWORKS[1:])
@pytest.mark.parametrize("loss", ["cross_entropy", "labeled_triplet", "nt_xent"])
def test_tensors_of_every_framework_are_judged_as_the_suite_judges_them(framework, loss):
    assert compared(framework, loss, ("bfloat16",), wrong=False, most=8) > 15


@pytest.mark.soak
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("loss", losses())
def test_every_result_is_judged_as_the_suite_judges_it(framework, loss):
    assert compared(framework, loss, (), wrong=True, many=True) > 100
