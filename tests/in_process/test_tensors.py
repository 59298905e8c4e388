"""lossmark.testing on tensors of any framework: what it reads, and what it refuses."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import torch

from lossmark.specification.library import losses
from lossmark.testing import assert_conforms, bound
from lossmark.testing.tensors import array_of
from tests.in_process.examples import classes

HEAVY = ("torch", "tensorflow", "jax", "pydantic", "flint", "pandas", "pyarrow", "pytest", "ruamel.yaml", "scipy")


def test_importing_loads_numpy_and_next_to_nothing_else():
    code = (
        "import sys; from lossmark.testing import assert_conforms, bound, NonConforming; "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
        [tf.constant(NUMBERS[0, 0], tf.bfloat16), jnp.asarray(NUMBERS[0, 0]), torch.tensor(NUMBERS[0, 0]).bfloat16()],
        jnp.asarray(NUMBERS, jnp.bfloat16),
        OnlyDlpack(NUMBERS),
    ],
    ids=lambda x: f"{type(x).__module__.split('.')[0]}-{type(x).__name__}-{getattr(x, 'dtype', '')}",
)
def test_tensors_are_read(tensor):
    if isinstance(tensor, list):  # each one number
        assert [(found.shape, float(found)) for found in (array_of("x", x) for x in tensor)] == 3 * [((), 0.5)]
    else:
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
