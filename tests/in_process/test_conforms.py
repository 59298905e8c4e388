"""``conforms`` parametrises a test over every check of an implementation, which answers in this very process."""

import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn import functional

from lossmark import Implementation
from lossmark.adapters.installed import framework
from lossmark.checks.catalogue import CHECKS, REFUSAL
from lossmark.sandbox.target import discover
from lossmark.specification.library import losses
from lossmark.suite.plan import Choice, plan_targets
from lossmark.suite.suite import Suite
from lossmark.testing import NonConforming, conforms

NAIVE = """
import torch
from lossmark import Implementation

naive = Implementation("naive", framework="torch")


@naive.loss
def contrastive(d, y, *, margin=1.0, reduction="mean"):
    if d.shape != y.shape:
        raise ValueError("shapes differ")
    loss = y * d**2 + (1 - y) * torch.clamp(margin - d, min=0)
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction]
"""
"""A contrastive loss that forgets one square."""


def checks(subject, *arguments, **more):
    """The checks that a test would be parametrised by."""
    mark = conforms(subject, *arguments, **more).mark
    assert mark.args[0] == "check"
    assert len({mark.kwargs["ids"](check) for check in mark.args[1]}) == len(mark.args[1])
    return mark.args[1]


def outcomes(made):
    """By the name of the check and its case: "passed", "skipped", or what the failure says."""
    found = {}
    for check in made:
        try:
            check()
            found[check.name, check.run.case.id] = "passed"
        except NonConforming as error:
            found[check.name, check.run.case.id] = str(error)
        except pytest.skip.Exception:
            found[check.name, check.run.case.id] = "skipped"
    return found


def huber(x, t, *, delta=1.0, reduction="mean"):
    return functional.huber_loss(x, t, delta=delta, reduction=reduction)


class Focal(torch.nn.Module):
    """A loss as an object, with another name of an argument."""

    def forward(self, logits, target, gamma=2.0, alpha=0.25):
        bce = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        right = torch.exp(-bce)
        return ((alpha * target + (1 - alpha) * (1 - target)) * (1 - right) ** gamma * bce).mean()


def jax_huber(x, t, *, delta=1.0, reduction="mean"):
    d = jnp.abs(x - t)
    loss = 0.5 * jnp.minimum(d, delta) ** 2 + delta * jnp.maximum(d - delta, 0)
    return {"none": lambda x: x, "sum": jnp.sum, "mean": jnp.mean}[reduction](loss)


def test_every_check_of_a_right_function_passes():
    found = outcomes(checks(huber, dtypes="float32"))
    assert {name for name, _ in found} >= {check.name for check in CHECKS} - {"partial", "aliased", "labels"}
    assert REFUSAL.name in {name for name, _ in found}
    assert {outcome for outcome in found.values() if outcome not in ("passed", "skipped")} == set()
    assert list(found.values()).count("passed") > 100


def test_a_wrong_one_fails_where_it_is_wrong_with_what_it_is():
    scope = {}
    exec(NAIVE, scope)
    found = outcomes(checks(scope["naive"], "contrastive", dtypes=["float32"]))
    wrong = {key: text for key, text in found.items() if text not in ("passed", "skipped")}
    assert {name for name, _ in wrong} >= {"value", "gradient", "properties"}
    assert not {name for name, _ in wrong} & {"result", "unmodified", "deterministic", "layout", "state"}
    text = wrong["value", "contrastive/worked"]
    assert "naive (torch, eager, cpu, float32) does not conform to contrastive on contrastive/worked" in text
    assert "expected" in text
    assert "repeat" not in text  # no command has this object


def test_this_process_and_another_judge_alike(tmp_path):
    path = tmp_path / "naive_losses.py"
    path.write_text(NAIVE, encoding="utf-8")
    runs = plan_targets(losses(), Choice(dtypes=("float32",)), discover(str(path)))
    suite = Suite(runs)
    try:
        apart = {(cell.case, cell.check): cell for run in runs for cell in suite.cells(run)}
    finally:
        suite.close()
    scope = {}
    exec(NAIVE, scope)
    made = checks(scope["naive"], dtypes="float32")
    here = {(check.run.case.id, check.name): check._judged.cells(check.run)[check.name] for check in made}
    assert here.keys() == apart.keys()
    assert {key: replace(cell, retried="") for key, cell in here.items()} == apart


def test_an_object_is_held_to_the_losses_that_are_named():
    found = outcomes(checks(Focal(), losses="sigmoid_focal", dtypes="float64"))
    assert found["value", "sigmoid_focal/generic"] == "passed"
    assert found["result", "sigmoid_focal/generic"] == "passed"


def test_settings_are_strict_for_a_check_and_as_they_were_after_it():
    seen = []

    def watched(x, t, *, delta=1.0, reduction="mean"):
        seen.append((jax.config.jax_enable_x64, x.dtype))
        return jax_huber(x, t, delta=delta, reduction=reduction)

    before = dict(framework("jax").settings())
    assert not jax.config.jax_enable_x64
    first = checks(watched, losses="huber", framework="jax", dtypes="float64")[0]
    first()
    assert seen[0] == (True, jnp.float64)
    assert framework("jax").settings() == before
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        checks(huber, dtypes="float32")[0]()
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(precision)


def half_and_half(x, t, *, delta=1.0, reduction="mean"):
    return huber(x, t, delta=delta, reduction=reduction) + jax_huber(x, t, delta=delta, reduction=reduction)


def by_itself(x, t):
    return ((x - t) ** 2).mean()


@pytest.mark.parametrize(
    ("function", "name"),
    [(huber, "torch"), (jax_huber, "jax"), (jax.jit(jax_huber), "jax"), (lambda x, t: huber(x, t), "torch"),
     (Focal(), "torch"), (lambda x, t: np.mean(jnp.abs(x - t)), "jax")],
)  # fmt: skip
def test_the_framework_is_found_out(function, name):
    loss = "sigmoid_focal" if isinstance(function, Focal) else "huber"
    assert checks(function, losses=loss)[0].run.target.reference.framework == name


@pytest.mark.parametrize(("function", "words"), [(half_and_half, "uses torch, jax"), (by_itself, "shows no framework")])
def test_the_framework_must_be_named_where_it_cannot_be_found_out(function, words):
    with pytest.raises(ValueError, match=rf"{words}: name one, framework=…, of .*torch"):
        conforms(function, losses="huber")
    assert checks(function, losses="huber", framework="torch")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: conforms(huber, framework="torch", losses="hubert"), "unknown loss 'hubert'"),
        (lambda: conforms(huber, framework="torch", dtypes="int8"), "unknown dtype 'int8'"),
        (lambda: conforms(huber, framework="caffe"), "framework must be one of"),
        (lambda: conforms(lambda a, b: a, losses="huber", framework="torch"), "huber"),
        (lambda: conforms(Implementation("none", framework="torch")), "none has none of the losses"),
    ],
)
def test_what_cannot_be_planned_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_an_interrupt_ends_the_run():
    def interrupted(x, t, *, delta=1.0, reduction="mean"):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checks(interrupted, losses="huber", framework="torch", dtypes="float32")[0]()


def test_functions_of_numpy_have_their_gradient_from_the_implementation():
    library = Implementation("mine", framework="numpy")

    @library.loss
    def bce_with_logits(logits, target, *, pos_weight=1.0, reduction="mean"):
        target = target.astype(logits.dtype)
        loss = (1 - target) * np.logaddexp(0, logits) + pos_weight * target * np.logaddexp(0, -logits)
        return {"none": lambda x: x, "sum": np.sum, "mean": np.mean}[reduction](loss.astype(logits.dtype))

    found = outcomes(checks(library, dtypes="float64"))
    assert found["value", "bce_with_logits/worked"] == "passed"
    assert found["gradient", "bce_with_logits/worked"] == "skipped"


def test_a_test_file_is_run_by_pytest(tmp_path):
    path = tmp_path / "test_mine.py"
    path.write_text(
        f"{NAIVE}\nfrom lossmark.testing import conforms\n\n\n@conforms(naive, dtypes='float32')\n"
        "def test_losses(check):\n    check()\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "does not conform to contrastive" in done.stdout
    assert "lossmark/testing" not in done.stdout  # no traceback through the engine
