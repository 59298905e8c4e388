"""Faults that one check alone sees: each mutant of such a kind is killed by the check that is meant for it."""

from dataclasses import replace

import pytest

from lossmark.adapters.installed import framework_version
from lossmark.checks.catalogue import ORDINARY
from lossmark.sharpness import mutants as catalogue
from lossmark.specification.library import losses
from lossmark.suite.plan import Choice, plan_targets
from lossmark.suite.suite import Suite

KINDS = {
    "reused": (
        "torch/bpr-scaled-in-place",
        "torch/bpr-last-call-kept",
        "tensorflow/bpr-scaled-in-place",
        "jax/bpr-last-call-kept",
    ),
    "labels": ("torch/contrastive-not-of-integers", "jax/triplet-sign-of-unsigned"),
    "defaults": ("tensorflow/bpr-default-not-averaged",),
    "arguments": (
        "torch/bpr-integers-cast-back",
        "torch/bpr-mixed-as-integers",
        "numpy/contrastive-integers-cast-back",
    ),
    "refusal": ("jax/hinge-margin-magnitude", "numpy/triplet-negative-margin-as-zero"),
    "state": ("torch/bpr-seeds-at-first", "tensorflow/bpr-environment-at-first", "jax/bpr-warnings-silenced"),
}
"""By check: mutants that only this check sees."""
EACH = [(check, name) for check, names in KINDS.items() for name in names]


def failing(target, dtype):
    """The checks that a target fails on the host case of its loss, and on cases of bad input."""
    suite, found = Suite(), {}
    try:
        for run in plan_targets(losses(), Choice(dtypes=(dtype,)), [target]):
            if len(run.checks) > len(ORDINARY) or "refusal" in run.checks:
                checks = tuple(check for check in run.checks if check != "properties")
                cells = suite.cells(replace(run, checks=checks))
                found |= {cell.check: cell.detail for cell in cells if cell.verdict in ("fail", "error")}
    finally:
        suite.close()
    return found


@pytest.mark.parametrize(("check", "name"), EACH)
def test_a_mutant_is_killed_by_the_check_that_is_meant_for_it(check, name):
    framework = name.partition("/")[0]
    if framework_version(framework) is None:
        pytest.skip(f"{framework} is not installed")
    (mutant,) = [mutant for mutant in catalogue.mutants((framework,)) if mutant.name == name]
    found = failing(mutant.target, "float32")
    assert set(found) == {check}, found
