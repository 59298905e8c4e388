"""lossmark.testing on tensors of any framework: what it reads, what it refuses, what it judges, and what it says."""

import subprocess
import sys
import unittest

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch.nn import functional

from lossmark.specification.library import losses
from lossmark.testing import NonConforming, assert_conforms, bound
from lossmark.testing.tensors import array_of

HEAVY = ("torch", "tensorflow", "jax", "pydantic", "flint", "pandas", "pyarrow", "pytest", "ruamel.yaml", "scipy")
ROWS, CLASSES = (4, 7), 11


def classes(dtype=torch.float32, seed=0):
    """Logits [4, 7, 11] and targets [4, 7], two of them ignored, with value and gradient by torch."""
    torch.manual_seed(seed)
    logits = torch.randn(*ROWS, CLASSES).to(dtype).requires_grad_()
    target = torch.randint(0, CLASSES, ROWS)
    target[0, :2] = -100
    value = functional.cross_entropy(logits.float().reshape(-1, CLASSES), target.reshape(-1))
    value.backward()
    return {"logits": logits, "target": target}, value, logits.grad


def failure(*arguments, **more):
    with pytest.raises(NonConforming) as caught:
        assert_conforms(*arguments, **more)
    return caught.value


# -- importing ---------------------------------------------------------------------------------------------------------


def test_importing_loads_numpy_and_next_to_nothing_else():
    code = (
        "import sys; from lossmark.testing import assert_conforms, bound, NonConforming; "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- tensors -----------------------------------------------------------------------------------------------------------

NUMBERS = np.array([[0.5, -1.25, 3.0], [2.0, 0.0, -0.75]])


class OnlyDlpack:
    """A tensor of a framework that NumPy knows nothing of but DLPack."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


@pytest.mark.parametrize(
    "tensor",
    [
        NUMBERS,
        NUMBERS.astype(">f8"),
        np.asfortranarray(NUMBERS),
        NUMBERS.astype(ml_dtypes.bfloat16),
        torch.tensor(NUMBERS, requires_grad=True),
        torch.tensor(NUMBERS).to(torch.bfloat16).requires_grad_(),
        torch.tensor(NUMBERS.T.copy()).to(torch.bfloat16).T,
        torch.nn.Parameter(torch.tensor(NUMBERS).half()),
        tf.constant(NUMBERS, tf.bfloat16),
        tf.Variable(NUMBERS),
        jnp.asarray(NUMBERS, jnp.bfloat16),
        OnlyDlpack(NUMBERS),
    ],
    ids=lambda x: f"{type(x).__module__.split('.')[0]}-{type(x).__name__}-{getattr(x, 'dtype', '')}",
)
def test_tensors_are_read(tensor):
    assert np.array_equal(array_of("x", tensor).astype(np.float64), NUMBERS)


def test_a_tensor_is_read_without_a_copy_where_that_can_be():
    x = torch.zeros(3, dtype=torch.bfloat16, requires_grad=True)
    view = array_of("x", x)
    with torch.no_grad():
        x += 1
    assert (view.astype(np.float64) == 1).all()


def traced(x):
    array_of("x", x)
    return x


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (lambda: torch.eye(3).to_sparse(), "x is sparse or nested .*to_dense"),
        (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "x is quantised .*dequantize"),
        (lambda: torch.ones(3, device="meta"), "x lies on the device meta"),
        (lambda: tf.IndexedSlices(tf.ones((1, 2)), tf.constant([0])), "x is a IndexedSlices, expected a dense tensor"),
        (lambda: np.ma.masked_array([1.0, 2.0], [True, False]), "x is a MaskedArray, expected a dense tensor"),
        (lambda: [1.0, 2.0], "x must be a tensor, got list"),
        (lambda: np.array([object()]), "x must be a tensor, got ndarray"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_dense_tensor_is_refused_in_a_sentence(tensor, words):
    with pytest.raises(TypeError, match=words):
        array_of("x", tensor())


def test_a_tensor_that_is_traced_is_refused_in_a_sentence():
    with pytest.raises(TypeError, match=r"x is a .* whose numbers cannot be read"):
        jax.jit(traced)(jnp.ones(2))


# -- calls that are none -----------------------------------------------------------------------------------------------

REFUSED = [case for loss in losses().values() for case in loss.cases if case.error]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_the_specs_have_refused_is_refused(case):
    loss = losses()[case.loss]
    arrays = {name: x.astype(np.int64 if name in loss.indices else np.float32) for name, x in case.inputs.items()}
    with pytest.raises({"ValueError": ValueError, "TypeError": TypeError}[case.error]):
        bound(case.loss, {k: x for k, x in arrays.items() if k not in case.absent}, params=case.params)


X = torch.zeros(3, 4)
Y = torch.zeros(3, dtype=torch.long)
CE = {"logits": X, "target": Y}
SPARSE = tf.IndexedSlices(tf.ones(1), tf.constant([0]))
CALLS = [
    ("cross_entropy", {"logits": X}, {}, ValueError, r"target is missing: .* weight \(may be left out\)"),
    ("cross_entropy", CE | {"target": Y[:, None]}, {}, ValueError,
     r"target has shape \[3, 1\], expected \[3\] as logits has"),
    ("cross_entropy", CE | {"weight": X[:, 0]}, {}, ValueError, r"weight has shape \[3\], expected \[4\]"),
    ("cross_entropy", CE | {"logits": X[:, 0]}, {}, ValueError,
     r"logits has shape \[3\], expected \[B, C\], or any axes"),
    ("cross_entropy", CE | {"target": Y.float()}, {}, TypeError, "target has dtype float32, expected an integer"),
    ("cross_entropy", CE | {"logits": X.long()}, {}, TypeError, "logits has dtype int64, expected one of float64"),
    ("cross_entropy", CE | {"weight": X[0].double()}, {}, TypeError, "weight has dtype float64, expected float32 as"),
    ("cross_entropy", CE | {"target": Y + 4}, {}, ValueError,
     r"target has the value 4, expected 0 to 3, or -100 \(ignore_index\)"),
    ("cross_entropy", CE | {"target": SPARSE}, {}, TypeError, "target is a IndexedSlices"),
    ("cross_entropy", CE, {"params": {"smoothing": 1}}, ValueError, r"unknown parameter 'smoothing': .* ignore_index"),
    ("cross_entropy", CE, {"params": {"label_smoothing": "1"}}, TypeError, "label_smoothing must be a number, got '1'"),
    ("cross_entropy", CE, {"reduction": "avg"}, ValueError, "reduction is 'avg', expected one of 'none'"),
    ("cross_entropy", CE, {"accumulate": "int8"}, ValueError, "accumulate is 'int8', expected one of"),
    ("cross_entropy", CE, {"rows": 0}, ValueError, "rows is 0, expected a positive integer"),
    ("cross_entropy", CE, {"reduction": "none", "cotangent": 2.0}, ValueError,
     r"cotangent has shape \[\], expected \[3\] under 'none'"),
    ("cross_entropy", {"logits": X[:0], "target": Y[:0]}, {}, ValueError, "the batch is empty"),
    ("cross_entropi", {}, {}, ValueError, "unknown loss 'cross_entropi': did you mean 'cross_entropy'"),
    ("bpr", {"target": Y}, {}, ValueError, "unknown input 'target'"),
    ("info_nce", {"query": torch.zeros(2, 3, 4), "key": X}, {}, ValueError,
     r"query has shape \[2, 3, 4\], expected \[B, D\]"),
    ("info_nce", {"query": X, "key": X}, {"rows": 2}, ValueError, "info_nce takes every example with every other"),
    ("contrastive", {"d": X[:, 0], "y": np.full(3, 0.3)}, {}, ValueError, r"y has the value 0\.3, which float32 "),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "inputs", "more", "error", "words"), CALLS)
def test_refusals_name_the_argument_what_was_given_and_what_is_allowed(loss, inputs, more, error, words):
    with pytest.raises(error, match=words):
        bound(loss, inputs, **more)


def test_gradients_by_what_is_not_differentiated_are_refused():
    inputs, value, _ = classes()
    with pytest.raises(ValueError, match="unknown gradient 'target': cross_entropy has gradients by logits"):
        assert_conforms("cross_entropy", inputs, value, grads={"target": inputs["target"]})
    hidden, weight = torch.randn(3, 4), torch.randn(5, 4)
    with pytest.raises(ValueError, match="the gradient by weight is the sum over all rows"):
        assert_conforms("linear_cross_entropy", {"hidden": hidden, "weight": weight, "target": Y},
                        torch.tensor(1.0), grads={"weight": weight}, rows=2)  # fmt: skip


# -- shapes, dtypes, reductions ----------------------------------------------------------------------------------------


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


# -- rows --------------------------------------------------------------------------------------------------------------


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


# -- what is said ------------------------------------------------------------------------------------------------------


def test_a_failure_says_which_element_how_far_how_far_is_allowed_and_why():
    inputs, value, gradient = classes()
    gradient[2, 3, 4] += 1e-3
    found = failure("cross_entropy", inputs, value, grads={"logits": gradient})
    text = str(found)
    assert text.startswith("cross_entropy does not conform: the gradient by logits under 'mean' is wrong\n")
    for words in ("logits[2, 3, 4]: ", "off by     0.001, ", "times that", "u = 2^-24", "log_sum", "lse(logits - ",
                  "the data are not to blame", f"here {float(inputs['logits'][2, 3, 0]):.6}"[:12]):  # fmt: skip
        assert words in text
    assert found.worst["index"] == [2, 3, 4]
    assert found.worst["got"] == float(gradient[2, 3, 4])


def doubled(value, gradient):
    return value, 2 * gradient


def over_all(value, gradient):
    return value * 26 / 28, gradient * 26 / 28


def over_classes(value, gradient):
    return value / CLASSES, gradient / CLASSES


def other_sign(value, gradient):
    return -value, -gradient


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (doubled, "twice the loss"),
        (over_all, "the mean over all rows: those that do not count are counted"),
        (over_classes, "the mean over C too, which is 11 long"),
        (other_sign, "the loss with the other sign"),
        (lambda value, gradient: (value * 26, gradient * 26), "the sum where the mean is meant"),
        (lambda value, gradient: (value * 1.25, gradient), "the right result times 1.25"),
        (lambda value, gradient: (value * torch.nan, gradient), "NaN where the formula has a number"),
    ],
)
def test_a_failure_says_what_it_looks_like(fault, words):
    inputs, value, gradient = classes()
    value, gradient = fault(value.detach(), gradient)
    text = str(failure("cross_entropy", inputs, value, grads={"logits": gradient}))
    assert f"looks like {words}" in text


def test_a_failure_names_the_call_or_the_mutant_that_gives_such_numbers():
    torch.manual_seed(0)
    u, pos, neg = (torch.randn(6, 9) for _ in range(3))
    each = functional.softplus((u * neg).sum(-1) - (u * pos).sum(-1))
    exchanged = failure("bpr", {"u": u, "d_pos": neg, "d_neg": pos}, each, reduction="none")
    assert "looks like d_pos and d_neg exchanged" in str(exchanged)
    inputs = {"u": u, "d_pos": pos, "d_neg": neg}
    alone = functional.softplus(-(u * pos).sum(-1))
    assert "the negative score is left out (the mutant torch/bpr-missing-negative)" in str(
        failure("bpr", inputs, alone, reduction="none")
    )
    inputs, _, _ = classes()
    logits, target = inputs["logits"].reshape(-1, CLASSES), inputs["target"].reshape(-1)
    plain = functional.cross_entropy(logits, target)
    smoothed = failure("cross_entropy", inputs, plain, params={"label_smoothing": 0.1})
    assert "looks like label_smoothing left at its default, 0.0" in str(smoothed)


def test_nothing_is_guessed_of_numbers_that_nothing_explains():
    inputs, value, gradient = classes()
    torch.manual_seed(3)
    text = str(failure("cross_entropy", inputs, value, grads={"logits": gradient + 1e-3 * torch.randn(*ROWS, CLASSES)}))
    assert "looks like" not in text


def test_ill_conditioned_data_are_said_to_be():
    anc, pos = torch.full((1, 2), 300.0), torch.full((1, 2), 301.0)
    inputs = {"anc": anc, "pos": pos, "neg": anc - 1e-3, "label": torch.ones(1)}
    calm = {"anc": anc / 300, "pos": -pos / 300, "neg": anc / 100, "label": torch.ones(1)}
    exact = [float(bound("labeled_triplet", each, params={"margin": 0.0}).exact) for each in (inputs, calm)]
    ill, well = (assert_conforms("labeled_triplet", each, x, params={"margin": 0.0})
                 for each, x in zip((inputs, calm), exact, strict=True))  # fmt: skip
    assert well.condition < 20 < 200 < ill.condition


def test_what_leaves_nothing_to_judge_is_warned_of():
    u, pos = torch.full((1, 3), 1000.0), torch.full((1, 3), 1000.0)
    neg = pos.clone()
    neg[0, 0] += 2**-14
    inputs = {"u": u.half(), "d_pos": pos.half(), "d_neg": neg.half()}
    with pytest.warns(UserWarning, match="nothing of bpr was judged"):
        assert assert_conforms("bpr", inputs, torch.tensor(0.7).half()).judged == 0


def test_confident_rows_in_the_textbook_form_conform_with_a_grade():
    logits = torch.tensor([[1e4, 1e4 - 1, 1e4 - 3]])
    target = torch.tensor([1])
    textbook = torch.logsumexp(logits, 1) - logits[0, 1]
    found = assert_conforms("cross_entropy", {"logits": logits, "target": target}, textbook[0])
    assert found.grade == "textbook"


class InUnittest(unittest.TestCase):
    """No fixture is needed."""

    def test_conforms(self):
        inputs, value, gradient = classes()
        assert_conforms("cross_entropy", inputs, value, grads={"logits": gradient})
        with pytest.raises(AssertionError):
            assert_conforms("cross_entropy", inputs, 2 * value)
