"""Families at the borders of a format: where their operations come to, that they are tight, and what they found."""

import numpy as np
import pytest

from lossmark.checks.judgement import loose
from lossmark.dtypes import DTYPES
from lossmark.readings.arithmetic import Arithmetic
from lossmark.readings.bound import RULES
from lossmark.readings.double_double import Wide
from lossmark.readings.overflow import Bounded
from lossmark.specification.inputs import draw
from lossmark.specification.library import losses
from lossmark.tolerance.expected import derivation, expected
from tests.test_tight import NEIGHBOURS

FAMILIES = [
    (loss, family) for loss in losses().values() for family in loss.families if family.model.distribution == "borders"
]

LEAVES_FIRST = {("cross_entropy_z/borders-64x3", "float16")}
"""Where another operation leaves the range first, as the slope of a cap that is not used does."""


def test_every_loss_of_single_examples_and_every_similarity_has_one():
    chosen = {(loss.id, tuple(family.params.values())) for loss, family in FAMILIES}
    assert {name for name, _ in chosen} >= {loss.id for loss in losses().values() if not loss.coupled}
    assert {(name, ("cosine",)) for name in ("bpr", "pairwise_hinge")} <= chosen


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("loss", "family"), FAMILIES, ids=[family.id for _, family in FAMILIES])
def test_it_is_tight_and_comes_near_the_end(loss, family, dtype):
    case, form = draw(loss, family, DTYPES[dtype]), DTYPES[dtype]
    assert case.shape[0] == 64
    for name, array in case.inputs.items():
        assert np.array_equal(form.round(array), array), name
    truth = expected(loss, case, form, np.ones(64))
    if (family.id, dtype) in NEIGHBOURS:  # a bound too wide to judge by, which may overflow, too
        return
    assert not loose([truth.values["none"]], form)
    assert not any(loose(list(slopes.values()), form) for slopes in truth.gradients.values())
    found = [(node.op, bounded.size) for node, bounded in derivation(loss, case, form) if node.args]
    sizes = [size * size if op == "norm" else size for op, size in found]
    room = min(form.largest / 256, 2.0**70)
    largest = max(size.max() for size in sizes)
    assert largest <= form.largest / 2
    assert (largest > room) == ((family.id, dtype) not in LEAVES_FIRST)
    assert all(np.isfinite(part.exact).all() and not part.also for part in truth.gradients["sum"].values())


def test_float16_cosine_has_products_of_norms_whose_squares_overflow_and_slopes_that_do():
    (family,) = (family for _, family in FAMILIES if family.id == "pairwise_hinge/borders-cosine-64x8")
    case = draw(losses()["pairwise_hinge"], family, DTYPES["float16"])
    norms = [np.linalg.norm(case.inputs[name], axis=1) for name in ("u", "d_pos")]
    assert (norms[0] * norms[1]).max() < 65504 < ((norms[0] * norms[1]) ** 2).max()
    assert (1 / (norms[0] ** 3 * norms[1])).max() > 65504


@pytest.mark.parametrize(("x", "e"), [(1e36, 1e30), (800.0, 900.0), (-800.0, 900.0), (5.0, 699.0), (-3.0, 701.0)])
def test_softplus_and_sigmoid_move_as_far_as_an_argument_that_may_be_off_by_much(x, e):
    """exp(e) overflows; the bound was that of an error of 700 for softplus, and 0 for sigmoid."""
    arithmetic = Arithmetic(DTYPES["float64"])
    column = np.array([[x]])
    for name, function in (("softplus", lambda t: np.logaddexp(t, 0)), ("sigmoid", lambda t: 1 / (1 + np.exp(-t)))):
        with np.errstate(over="ignore"):
            moved = max(abs(function(x + way) - function(x)) for way in (-e, e))
            bound = RULES[name](arithmetic, Wide(function(column)), Bounded(Wide(column), np.array([[e]])))
        assert moved * (1 - 1e-12) <= bound.item(), name
