"""Several places of one example that kink: each has a slope of its own, and one choice must explain the gradient."""

import numpy as np
import pytest

from lossmark.checks.judgement import slopes
from lossmark.dtypes import BFLOAT16, FLOAT32, FLOAT64
from lossmark.specification.case import Case
from lossmark.specification.inputs import draw
from lossmark.specification.library import losses
from lossmark.tolerance.expected import expected

MULTI_MARGIN = losses()["multi_margin"]
AT_TWO = next(case for case in MULTI_MARGIN.cases if case.id == "multi_margin/two-kinks")


def judged(gradient, dtype=FLOAT64):
    found = expected(MULTI_MARGIN, AT_TWO, dtype, np.ones(AT_TWO.batch))
    second = [-0.25, 0.0, 0.25, 0.0]  # the lower sides of the other example
    got = {"logits": np.array([gradient, second])}
    return slopes(got, found.gradients["sum"], found.kinks["sum"], dtype, "sum")


@pytest.mark.parametrize(
    "gradient",
    [
        [0.0, 0.0, 0.0, 0.0],
        [-0.5, 0.25, 0.25, 0.0],
        [-0.25, 0.25, 0.0, 0.0],
        [-0.25, 0.0, 0.25, 0.0],
        [-0.375, 0.25, 0.125, 0.0],
        [-0.1875, 0.0625, 0.125, 0.0],
    ],
)
def test_each_class_has_a_slope_of_its_own(gradient):
    assert judged(gradient).ok


@pytest.mark.parametrize(
    "gradient",
    [
        [-0.25, 0.25, 0.25, 0.0],  # what is taken from the class is not what the others have
        [-0.5, 0.5, 0.0, 0.0],
        [-0.25, 0.25, 0.0, 0.25],  # a class that is beyond the margin has none
        [-0.25, 0.3125, -0.0625, 0.0],
        [0.0, 0.0, 0.0, 2.0**-60],
    ],
)
def test_no_slopes_explain_what_is_wrong(gradient):
    assert not judged(gradient).ok


def test_sixteen_bits_leave_many_classes_undecided_and_each_is_explained():
    family = next(each for each in MULTI_MARGIN.families if each.id.endswith("/random-33x1025"))
    case = draw(MULTI_MARGIN, family, BFLOAT16)
    x, own = case.inputs["logits"], case.inputs["target"].astype(int)[:, None]
    behind = 1 - np.take_along_axis(x, own, axis=1) + x
    costs = np.where(np.arange(x.shape[1]) == own, 0.0, (behind + np.where(x < 0, 2.0**-9, -(2.0**-9))) > 0)
    gradient = (costs - (np.arange(x.shape[1]) == own) * costs.sum(axis=1, keepdims=True)) / x.shape[1]
    found = expected(MULTI_MARGIN, case, BFLOAT16, np.ones(case.batch))
    kink = found.kinks["sum"]
    assert kink.places > 2
    assert slopes({"logits": gradient}, found.gradients["sum"], kink, BFLOAT16, "sum").ok
    gradient[kink.rows[0], own[kink.rows[0]]] += 2 / x.shape[1] + found.gradients["sum"]["logits"].bound.max()
    assert not slopes({"logits": gradient}, found.gradients["sum"], kink, BFLOAT16, "sum").ok


def test_a_slope_next_to_an_end_explains_what_is_just_beyond_its_bound():
    """pairwise_hinge in float32: 1.4 bounds from the lower side, towards the upper one, is a slope of 4e-8."""
    loss = losses()["pairwise_hinge"]
    case = loss.case("pairwise_hinge/subnormal-single")
    found = expected(loss, case, FLOAT32, np.ones(case.batch))
    parts, kink = found.gradients["mean"], found.kinks["mean"]
    got = {name: part.exact.astype(np.float32) for name, part in parts.items()}
    towards = np.sign(kink.at_one["d_pos"][0] - kink.at_zero["d_pos"])
    got["d_pos"][kink.rows] += (1.5 * towards * parts["d_pos"].bound[kink.rows]).astype(np.float32)
    assert slopes(got, parts, kink, FLOAT32, "mean").ok
    got["d_pos"][kink.rows] -= (3 * towards * parts["d_pos"].bound[kink.rows]).astype(np.float32)
    assert not slopes(got, parts, kink, FLOAT32, "mean").ok


def test_what_any_number_conforms_for_tells_no_slope():
    """The value may be NaN, because a norm and a product overflow: then a gradient may be NaN here and finite there."""
    loss = losses()["pairwise_hinge"]
    inputs = {"u": [[1.0, 8.0]], "d_pos": [[0.0, 2.0**127]], "d_neg": [[0.0, 0.0]]}
    arrays = {name: np.array(x) for name, x in inputs.items()}
    case = Case("pairwise_hinge/drawn", loss.id, {"similarity": "cosine"}, arrays, loss.dims)
    found = expected(loss, case, FLOAT32, np.ones(1))
    assert found.kinks["sum"] is not None
    got = {"u": np.full((1, 2), np.nan), "d_pos": np.full((1, 2), np.nan), "d_neg": np.array([[1e8, 8e8]])}
    assert slopes(got, found.gradients["sum"], found.kinks["sum"], FLOAT32, "sum").ok
