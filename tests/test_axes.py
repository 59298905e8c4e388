"""Inputs without an axis, with masks and with three axes: what readings make of them, and what a spec may not say."""

import subprocess
import sys
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from flint import ctx

from lossmark.dtypes import DTYPES, FLOAT32, FLOAT64
from lossmark.errors import SpecError
from lossmark.golden import certified
from lossmark.readings.convention import IEEE
from lossmark.readings.rounding import two_doubles
from lossmark.specification.assemble import assemble
from lossmark.specification.document import parse
from lossmark.specification.in_the_large import embed
from lossmark.specification.inputs import draw, timed
from lossmark.specification.library import Library
from lossmark.testing.given import given
from lossmark.tolerance.expected import expected

SPECS = Path(__file__).parent / "axes"
LOSSES = ("infonce_negatives", "listwise_softmax", "scaled_cross_entropy")
HEAD = """
lossmark: 1
loss: axes
title: a test
since: "1.0"
source: {{document: none, section: "1"}}
summary: a test
inputs:
{inputs}
formula: {{loss: "{loss}"}}
gradient_of: [{wrt}]
cases: []
"""
X = "  x: {dims: [B, N], kind: score, meaning: x}\n"
MASK = "  mask: {dims: [B, N], label: mask, meaning: what counts}\n"


def spec(inputs, loss, wrt="x", more=""):
    return assemble(parse(HEAD.format(inputs=inputs, loss=loss, wrt=wrt) + more))


def library():
    return Library(SPECS)


def test_the_values_of_the_folder_are_certified():
    command = [sys.executable, "-m", "lossmark", "certify", "--check", "--specs", str(SPECS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "3 specs, 14 cases: all values certified\n"), done.stderr


@pytest.mark.parametrize("name", LOSSES)
def test_the_wide_reading_is_the_exact_one(name):
    loss = library()[name]
    case = draw(loss, loss.families[0], FLOAT64)
    found = expected(loss, case, FLOAT64, np.ones(case.batch))
    gradients = loss.gradients({})
    with ctx.workprec(200):
        known = certified.known(loss, case, IEEE)
    trees = {"value": gradients.formula.loss, **gradients.trees[0]}
    for each, one in {"value": found.values["none"], **found.gradients["sum"]}.items():
        exactly = np.array([two_doubles(ball)[0] for ball in known[trees[each]].ravel()])
        assert np.all(np.abs(exactly - one.exact.ravel()) <= 2.0**-53 * np.abs(exactly)), each
        assert np.max(one.bound) < 1e-13


def test_a_learned_number_has_the_sum_of_the_slopes_of_all_examples():
    loss = library()["scaled_cross_entropy"]
    case = draw(loss, loss.families[0], FLOAT64)
    whole = expected(loss, case, FLOAT64, np.ones(case.batch)).gradients
    rows = [replace(case, inputs=case.with_rows(lambda x, row=row: x[row : row + 1])) for row in range(case.batch)]
    each = [expected(loss, row, FLOAT64, np.ones(1)).gradients["sum"]["scale"] for row in rows]
    total = sum(Fraction(float(one.exact)) + Fraction(float(one.exact_low)) for one in each)
    assert whole["sum"]["scale"].shape == ()
    assert float(whole["sum"]["scale"].exact) == float(total)
    assert float(whole["mean"]["scale"].exact) == float(total / case.batch)


def test_terms_of_a_sum_over_two_axes_may_be_added_in_any_order():
    """One after the other, not only those of one axis first."""
    inputs = "  x: {dims: [B, N], kind: score, meaning: x}\n  scale: {dims: [], kind: number, meaning: scale}\n"
    loss = spec(inputs, "sum(scale*x, N)", "scale", FAMILY)
    case = draw(loss, loss.families[0], FLOAT32)
    slope = expected(loss, case, FLOAT32, np.ones(case.batch)).gradients["sum"]["scale"]
    terms = np.abs(case.inputs["x"])
    assert slope.bound >= (terms.size - 1) * FLOAT32.a * terms.sum()
    assert slope.bound <= 1.01 * terms.size * FLOAT32.a * terms.sum()


FAMILY = """families:
  - {id: axes/random, seed: 1, shape: {B: 50, N: 40}, distribution: normal, scale: "0x1p+0"}
"""


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=lambda dtype: dtype.name)
def test_what_is_masked_changes_nothing(dtype):
    loss = library()["listwise_softmax"]
    case = draw(loss, loss.families[0], dtype)
    gone = case.inputs["mask"] == 0
    assert np.isnan(case.inputs["scores"][gone]).any()
    assert np.isnan(case.inputs["relevance"][gone]).any()
    plain = expected(loss, case, dtype, np.ones(case.batch))
    for number in (0.0, np.inf, dtype.largest, -3.5):
        inputs = {name: np.where(gone & (name != "mask"), number, x) for name, x in case.inputs.items()}
        other = expected(loss, replace(case, inputs=inputs), dtype, np.ones(case.batch))
        for one, two in ((plain.values["none"], other.values["none"]),
                         (plain.gradients["mean"]["scores"], other.gradients["mean"]["scores"])):  # fmt: skip
            assert np.array_equal(one.exact, two.exact)
            assert np.array_equal(one.bound, two.bound)
            assert two.unspecified is None
    assert (plain.gradients["mean"]["scores"].exact[gone] == 0).all()
    assert (plain.gradients["mean"]["scores"].bound[gone] == 0).all()


def test_vectors_of_each_example_are_read_in_blocks_of_rows():
    loss = library()["infonce_negatives"]
    case = replace(
        draw(loss, loss.families[0], FLOAT32),
        inputs={name: x.astype(np.float64) for name, x in timed(loss, (16_384, 32), FLOAT32, 1).items()},
    )
    assert case.inputs["negatives"].shape == (16_384, 8, 32)
    tracemalloc.start()
    try:
        expected(loss, case, FLOAT32, np.ones(case.batch), ())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    copy = sum(x.nbytes for x in case.inputs.values())  # all cases of a loss are read as one batch
    assert peak < 1.1 * copy


@pytest.mark.parametrize("name", ["infonce_negatives", "listwise_softmax"])
def test_golden_cases_among_the_rows_of_a_larger_batch(name):
    loss = library()[name]
    assert loss.embedded
    for large in loss.embedded[:8]:
        if "float32" in large.dtypes:
            case = embed(large, FLOAT32)
            again = replace(case, repeats=None)
            found, whole = (expected(loss, each, FLOAT32, np.ones(case.batch)) for each in (case, again))
            assert np.array_equal(found.values["none"].exact, whole.values["none"].exact, equal_nan=True)
            for each in loss.gradient_of:
                one, other = found.gradients["sum"][each], whole.gradients["sum"][each]
                assert one.shape == case.inputs[each].shape
                assert np.array_equal(one.exact, other.exact, equal_nan=True)


@pytest.mark.parametrize(
    ("inputs", "loss", "message"),
    [
        ("  x: {dims: [N, B], kind: score, meaning: x}\n", "sum(x, N)", "expected three axes at most, each once, and"),
        ("  x: {dims: [B, N, D, C], kind: score, meaning: x}\n", "sum(x, N)", "expected three axes at most"),
        ("  x: {dims: [B, N, N], kind: score, meaning: x}\n", "sum(x, N)", "expected three axes at most, each once"),
        ("  x: {dims: [B, n], kind: score, meaning: x}\n", "sum(x, N)", "String should match pattern"),
        (X, "sum(x, C)", "unknown axis (known: B, N): 'C'"),
        (X + "  y: {dims: [B, D, N], kind: score, meaning: y}\n  z: {dims: [B, N, D], kind: score, meaning: z}\n",
         "sum(x, N)", "the inputs have their axes in different orders of memory"),
        (X + MASK.replace("[B, N]", "[N]"), "sum(where(mask == 1, x, 0), N)", "a mask is of each example"),
        (X + MASK, "sum(x*mask, N)", "a mask is only compared, the formula computes with it"),
        (X + MASK, "sum(x, N) + sum(where(mask == 1, 1, 0), N)", "what the mask leaves out reaches the loss"),
        (X + MASK, "lse(x, N) + sum(where(mask == 1, x, 0), N)", "what the mask leaves out reaches the loss"),
        (X + MASK, "sum(where(mask == 1, softmax(x, N), 0), N)", "expected where(mask == 1, …), only or lse around it"),
        (X + MASK, "sum(where(not mask == 1, x, 0), N)", "what the mask leaves out reaches the loss"),
        (X + MASK, "sum(where(mask == 0, x, 0), N)", "what the mask leaves out reaches the loss"),
    ],
)  # fmt: skip
def test_what_a_spec_may_not_say(inputs, loss, message):
    with pytest.raises(SpecError) as refused:
        spec(inputs, loss)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "loss",
    [
        "lse(x, N, mask == 1)",
        "sum(where(mask == 0, 0, x), N)",
        "sum(where(not mask == 1, 0, exp(x)), N)",
        "sum(where(mask == 1 and not mask == 0, x**2, 1), N)",
        "sum(where(mask == 1, x - detach(max(only(x, mask == 1), N)), 0), N)",
        "lse(only(x, mask == 1), N)",
    ],
)
def test_ways_to_leave_out_what_is_masked(loss):
    assert next(item for item in spec(X + MASK, loss).inputs if item.name == "x").masks == ("mask",)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ('scale: ["0x1p+0"]', "wrong shape [1], expected []"),
        ('negatives: [[["0x1p+0"], ["0x1p+0", "0x1p+1"]]]', "ragged list: rows of ['1', '2'] numbers"),
        ('negatives: [[["0x1p+0", "0x1p+1"]]]', "wrong shape [1, 1, 2], expected [1, 1, 1]"),
        ('negatives: [[["0.5"]]]', "cases.0.inputs.negatives.0.0.0: Value error, expected a quoted hex float"),
    ],
)
def test_what_a_case_may_not_hold(found, message):
    name = found.partition(":")[0]
    inputs = "  x: {dims: [B, D], kind: embedding, meaning: x}\n" + (
        "  scale: {dims: [], kind: number, meaning: scale}\n"
        if name == "scale"
        else "  negatives: {dims: [B, N, D], kind: embedding, meaning: n}\n"
    )
    loss = "scale*sqnorm(x)" if name == "scale" else "sum(dot(x, negatives), N)"
    case = f'  - {{id: axes/one, since: "1.0", why: it must be refused, inputs: {{x: [["0x1p+0"]], {found}}}}}\n'
    text = HEAD.format(inputs=inputs, loss=loss, wrt=f"x, {name}").replace("cases: []\n", f"cases:\n{case}")
    with pytest.raises(SpecError) as refused:
        assemble(parse(text))
    assert message in str(refused.value)


def test_a_mask_that_a_case_holds_is_0_or_1():
    case = '  - {id: axes/one, since: "1.0", why: it must be refused, inputs: {x: [["0x1p+0"]], mask: [["nan"]]}}\n'
    text = HEAD.format(inputs=X + MASK, loss="sum(where(mask == 1, x, 0), N)", wrt="x")
    with pytest.raises(SpecError, match="a mask is 0 or 1"):
        assemble(parse(text.replace("cases: []\n", f"cases:\n{case}")))


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("scaled_cross_entropy", {"scale": np.ones(1)}, r"scale has shape \[1\], expected \[\]$"),
        ("scaled_cross_entropy", {"target": np.zeros(3, int)}, r"target has shape \[3\], expected \[2\] as logits has"),
        ("listwise_softmax", {"mask": np.full((2, 3), 2)}, "mask has the value 2, expected 0 or 1"),
        ("listwise_softmax", {"mask": np.full((2, 3), np.nan)}, "mask has the value nan, expected 0 or 1"),
    ],
)
def test_own_data_that_does_not_fit_is_refused_by_its_name(monkeypatch, name, changed, message):
    monkeypatch.setattr("lossmark.testing.given.losses", library)
    loss = library()[name]
    sizes = {"B": 2, "C": 3, "N": 3}
    right = {item.name: np.ones([sizes[axis] for axis in item.dims]) for item in loss.inputs}
    right = {key: x.astype(int) if key == "target" else x for key, x in right.items()}
    assert given(name, right, None).batch == 2
    with pytest.raises(ValueError, match=message):
        given(name, right | changed, None)
