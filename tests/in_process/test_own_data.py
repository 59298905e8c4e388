"""lossmark.testing on shapes, dtypes, reductions and rows: what it judges, and how."""

import unittest

import numpy as np
import pytest
import torch
from torch.nn import functional

from lossmark.testing import assert_conforms, bound
from tests.in_process.examples import CLASSES, ROWS, classes, failure


def test_any_axes_stand_in_the_place_of_the_batch():
    inputs, value, gradient = classes()
    found = assert_conforms("cross_entropy", inputs, value, grads={"logits": gradient})
    assert (found.judged, found.unjudged, found.grade) == (1 + 4 * 7 * 11, 0, "accurate")
    flat = {"logits": inputs["logits"].reshape(-1, CLASSES), "target": inputs["target"].reshape(-1)}
    assert assert_conforms("cross_entropy", flat, value, grads={"logits": gradient.reshape(-1, CLASSES)}) == found
    each = functional.cross_entropy(flat["logits"], flat["target"], reduction="none").reshape(ROWS)
    assert_conforms("cross_entropy", inputs, each, reduction="none")
    wrong = each.detach().clone()
    wrong[2, 3] *= 1.001
    assert failure("cross_entropy", inputs, wrong, reduction="none").worst["index"] == [2, 3]
    assert "expected [4, 7]" in str(failure("cross_entropy", inputs, each.reshape(-1), reduction="none"))


def test_a_result_of_a_wider_dtype_is_judged_in_its_own():
    inputs, value, gradient = classes(torch.bfloat16)
    assert value.dtype == torch.float32
    assert assert_conforms("cross_entropy", inputs, value, grads={"logits": gradient}).judged == 309
    rounded = value.bfloat16()
    assert_conforms("cross_entropy", inputs, rounded)
    assert rounded != value
    assert "ulp of float32" in str(failure("cross_entropy", inputs, rounded.float()))
    assert_conforms("cross_entropy", inputs, rounded.float(), accumulate="bfloat16")
    assert_conforms("cross_entropy", inputs, float(rounded))  # a Python number has the inputs' dtype


def test_a_result_of_a_narrower_or_another_dtype_does_not_conform():
    inputs, value, gradient = classes()
    assert "got has dtype bfloat16, expected float32" in str(failure("cross_entropy", inputs, value.bfloat16()))
    assert "got has dtype int64" in str(failure("cross_entropy", inputs, value.long()))
    half = {"logits": inputs["logits"].bfloat16(), "target": inputs["target"]}
    assert "got has dtype float16" in str(failure("cross_entropy", half, value.half()))  # has not its range
    text = str(failure("cross_entropy", inputs, value, grads={"logits": gradient.bfloat16()}))
    assert "the gradient by logits has dtype bfloat16" in text


def test_cotangents_weigh_examples_or_multiply_the_loss():
    torch.manual_seed(0)
    u, pos, neg = (torch.randn(6, 9, dtype=torch.float64, requires_grad=True) for _ in range(3))
    inputs = {"u": u, "d_pos": pos, "d_neg": neg}
    each = functional.softplus((u * neg).sum(-1) - (u * pos).sum(-1))
    weights = torch.rand(6, dtype=torch.float64)
    weighed = dict(zip(inputs, torch.autograd.grad(each, [u, pos, neg], weights, retain_graph=True), strict=True))
    assert_conforms("bpr", inputs, each, reduction="none", cotangent=weights, grads=weighed)
    failure("bpr", inputs, each, reduction="none", grads=weighed)
    summed = dict(zip(inputs, torch.autograd.grad(2.5 * each.mean(), [u, pos, neg]), strict=True))
    assert_conforms("bpr", inputs, each.mean(), cotangent=2.5, grads=summed)
    failure("bpr", inputs, each.mean(), grads=summed)
    failure("bpr", inputs, each.mean(), cotangent=2.5, grads={**summed, "d_neg": None})  # None counts as 0


def test_optional_inputs_may_be_left_out_or_none():
    inputs, value, _ = classes()
    weight = torch.linspace(0.5, 2, CLASSES)
    flat = inputs["logits"].reshape(-1, CLASSES), inputs["target"].reshape(-1)
    assert_conforms("cross_entropy", {**inputs, "weight": None}, value)
    weighed = functional.cross_entropy(*flat, weight)
    assert_conforms("cross_entropy", {**inputs, "weight": weight}, weighed)
    assert "weight left out" in str(failure("cross_entropy", {**inputs, "weight": weight}, value))


@pytest.mark.parametrize(("reduction", "got"), [("none", np.zeros((0, 2), np.float32)), ("sum", np.float32(0))])
def test_an_empty_batch_costs_nothing(reduction, got):
    inputs = {"logits": np.zeros((0, 2, 5), np.float32), "target": np.zeros((0, 2), np.int64)}
    assert_conforms("cross_entropy", inputs, got, reduction=reduction, grads={"logits": inputs["logits"]})
    found = bound("cross_entropy", inputs, reduction=reduction)
    assert (found.exact.shape, found.grads["logits"].exact.shape) == (got.shape, (0, 2, 5))
    if reduction == "sum":
        failure("cross_entropy", inputs, np.float32(1), reduction="sum")


def test_numbers_of_classes_beyond_float64_are_told_apart():
    torch.manual_seed(0)
    z = torch.randn(4, 3, dtype=torch.float64)
    label = torch.tensor([2**60, 2**60 + 1, 2**60, 2**60 + 1])
    same = bound("supcon", {"z": z, "label": label - 2**60}).exact
    assert bound("supcon", {"z": z, "label": label}).exact == same
    assert bound("supcon", {"z": z, "label": 0 * label}).exact != same


def test_bounds_are_arrays_in_the_shape_of_the_results():
    inputs, value, gradient = classes()
    found = bound("cross_entropy", inputs)
    assert abs(value.item() - found.exact) <= found.bound
    slope = found.grads["logits"]
    assert slope.exact.shape == (*ROWS, CLASSES)
    assert (np.abs(gradient.numpy() - slope.exact) <= slope.bound).all()
    assert (slope.bound[0, :2] == 0).all()  # ignored rows: bit for bit
    wide = bound("cross_entropy", inputs, dtype="float64")
    assert 0 < wide.bound < 1e-6 * found.bound
    some = bound("cross_entropy", inputs, reduction="none", rows=8)
    assert some.exact.shape == some.rows.shape == (8,)
    whole = bound("cross_entropy", inputs, reduction="none").exact.reshape(-1)
    assert np.array_equal(whole[some.rows], some.exact)


def many(batch=600):
    torch.manual_seed(1)
    logits, target = torch.randn(batch, 40, requires_grad=True), torch.randint(0, 40, (batch,))
    target[::3] = -100
    return {"logits": logits, "target": target}, functional.cross_entropy(logits, target, reduction="none")


def test_a_choice_of_rows_is_judged():
    inputs, each = many()
    value = each.sum() / (inputs["target"] != -100).sum()
    (gradient,) = torch.autograd.grad(value, inputs["logits"])
    chosen = bound("cross_entropy", inputs, reduction="none", rows=64).rows
    assert sum(inputs["target"][chosen] == -100) == 8
    found = assert_conforms("cross_entropy", inputs, value, grads={"logits": gradient}, rows=64)
    assert (found.judged, found.unjudged) == (1 + 64 * 40, 536 * 40)
    gradient[chosen[7], 3] += 1e-4
    wrong = failure("cross_entropy", inputs, value, grads={"logits": gradient}, rows=64)
    assert wrong.worst["index"] == [chosen[7], 3]
    assert assert_conforms("cross_entropy", inputs, value, rows=600).unjudged == 0


def test_a_sum_is_judged_by_all_rows_where_some_are_read():
    inputs, each = many()
    read = bound("cross_entropy", inputs, reduction="none", rows=64).rows
    for reduction, value in (("sum", each.sum()), ("mean", each.sum() / 400)):
        exact = bound("cross_entropy", inputs, reduction=reduction)
        some = bound("cross_entropy", inputs, reduction=reduction, rows=64)
        assert some.exact == pytest.approx(float(exact.exact), rel=1e-14)
        assert exact.bound / 2 < some.bound < 3 * exact.bound
        assert_conforms("cross_entropy", inputs, value, reduction=reduction, rows=64)
    wrong = each.detach().clone()
    lost = next(row for row in range(600) if row not in read and inputs["target"][row] != -100)
    wrong[lost] = 0
    assert failure("cross_entropy", inputs, wrong.sum(), reduction="sum", rows=64)
    with torch.no_grad():
        inputs["logits"][lost] = torch.nan
    value = functional.cross_entropy(inputs["logits"], inputs["target"], reduction="sum")
    assert assert_conforms("cross_entropy", inputs, each, reduction="none", rows=64).judged == 64
    with pytest.warns(UserWarning, match="nothing of cross_entropy was judged"):
        assert assert_conforms("cross_entropy", inputs, value, reduction="sum", rows=64).judged == 0


def test_rows_of_what_all_examples_share():
    torch.manual_seed(0)
    hidden, weight, target = torch.randn(50, 8, requires_grad=True), torch.randn(30, 8), torch.randint(0, 30, (50,))
    value = functional.cross_entropy(hidden @ weight.T, target)
    (gradient,) = torch.autograd.grad(value, hidden)
    inputs = {"hidden": hidden, "weight": weight, "target": target}
    assert assert_conforms("linear_cross_entropy", inputs, value, grads={"hidden": gradient}, rows=10).judged == 81
    failure("linear_cross_entropy", inputs, value, grads={"hidden": gradient * 1.001}, rows=10)


class InUnittest(unittest.TestCase):
    """No fixture is needed."""

    def test_conforms(self):
        inputs, value, gradient = classes()
        assert_conforms("cross_entropy", inputs, value, grads={"logits": gradient})
        with pytest.raises(AssertionError):
            assert_conforms("cross_entropy", inputs, 2 * value)
