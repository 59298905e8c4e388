"""Every mutant is killed or proved equivalent, every right implementation passes."""

import math
import zlib

import numpy as np
import pytest

from lossmark.adapters.installed import framework_version, frameworks
from lossmark.checks.catalogue import BESIDE
from lossmark.dtypes import DTYPES
from lossmark.sharpness import kills, scoreboard
from lossmark.sharpness import mutants as catalogue
from lossmark.specification.library import losses
from lossmark.suite.plan import Choice

AT_LEAST = {"torch": 15, "tensorflow": 15, "jax": 15, "numpy": 10}
INSTALLED = tuple(name for name in frameworks() if framework_version(name))
COMPILING = ("tensorflow", "jax")
"""Frameworks in which every implementation costs compilations of its own."""
KINDS = {
    loss.id: "coupled" if loss.coupled else "classes" if loss.classes else "embeddings" for loss in losses().values()
}


def test_the_set_is_large_and_its_catalogue_is_true():
    found = catalogue.mutants(INSTALLED)
    count = {name: sum(mutant.name.startswith(name + "/") for mutant in found) for name in INSTALLED}
    assert all(count[name] >= AT_LEAST[name] for name in INSTALLED)
    assert len(found) >= 80 or len(INSTALLED) < 4
    assert len(catalogue.right(INSTALLED)) >= 73 or "torch" not in INSTALLED


@pytest.mark.parametrize("kind", sorted(set(KINDS.values())))
@pytest.mark.parametrize("framework", INSTALLED)
def test_every_mutant_is_killed(framework, kind):
    """In every dtype; those of a framework that compiles each anew in one dtype here, in turn.

    ``make results SUBJECT=sharpness`` runs all in all.
    """
    some = [mutant for mutant in catalogue.mutants((framework,)) if KINDS[mutant.loss] == kind]
    dealt = {mutant.name: (_dtype_of(index, mutant),) for index, mutant in enumerate(some)}
    board = scoreboard.scoreboard(some, thorough=False, dealt=dealt if framework in COMPILING else {})
    assert some
    assert board.sharp, scoreboard.summary(board)


def _dtype_of(index, mutant):
    """The dtype of a mutant in which it is run where it is run in one: in turn, where it is another loss at all."""
    told_apart = [dtype for dtype in DTYPES if dtype not in mutant.entry.equivalent]
    return told_apart[index % len(told_apart)]


@pytest.mark.skipif("torch" not in INSTALLED, reason="torch is not installed")
def test_every_class_of_cases_is_needed():
    """By the mutants of two losses; of all losses ``make results SUBJECT=sharpness`` says so."""
    some = [each for each in catalogue.mutants(("torch",)) if each.loss in ("bpr", "contrastive")]
    board = scoreboard.scoreboard(some)
    assert board.sharp, scoreboard.summary(board)
    assert all(board.lost_without(kind) for kind in scoreboard.CLASSES)
    assert len(board.unseen_by(scoreboard.USUAL)) >= 25


def drawn(run):
    """Whether a right implementation is held to a case here: to the host case, and to some by chance."""
    one_of = 9 if run.target.reference.framework in COMPILING else 3
    return run.case.id == run.loss.host.id or zlib.crc32(f"{run.target.name} {run.case.id}".encode()) % one_of == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("framework", INSTALLED)
def test_no_right_implementation_is_accused(framework, dtype):
    """Each in one dtype here, in turn, eagerly, on the host case and a share of the others, drawn by its name.

    The rest, and the checks of usage and consistency, by ``lossmark mutants --right``. Those by another hand have a
    test of their own.
    """
    ours = [target for target in catalogue.right((framework,)) if not target.name.startswith("elsewhere/")]
    dealt = ours[list(DTYPES).index(dtype) :: len(DTYPES)]
    found = kills.observe(
        dealt, large=False, without=BESIDE, choices=[Choice(dtypes=(dtype,), modes=("eager",))], wanted=drawn
    )
    assert set(found) == {(target.name, dtype) for target in dealt}
    assert not {name: box.checks for (name, _), box in found.items() if box.cases}


@pytest.mark.skipif("torch" not in INSTALLED, reason="these mutants are in torch")
@pytest.mark.parametrize(("name", "threshold"), [("torch/bpr-linear-at-20", 20.0), ("torch/bpr-linear-at-10", 10.0)])
def test_a_softplus_that_goes_linear_is_equivalent_where_it_is_said_to_be(name, threshold):
    """softplus(x) - x and 1 - sigmoid(x) fall with x, their bounds 4 ulp and (4 + |x|) ulp do not."""
    (entry,) = (mutant.entry for mutant in catalogue.mutants(("torch",)) if mutant.name == name)
    for dtype in DTYPES.values():
        value, slope = math.log1p(math.exp(-threshold)), 1 / (1 + math.exp(threshold))
        by_value, by_slope = (float(dtype.ulp(np.array(x))) for x in (threshold, 1 - slope))
        within = value <= 4 * by_value and slope <= (4 + min(threshold, dtype.p)) * by_slope
        assert within == (dtype.name in entry.equivalent), dtype.name
