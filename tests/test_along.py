"""Operations along an axis of classes: what they mean and what their bounds accept, with them as cross entropy."""

import mpmath
import numpy as np
import pytest
from flint import arb, ctx

from lossmark.dtypes import DTYPES
from lossmark.errors import FormulaError, Place
from lossmark.formula.derivative import gradients
from lossmark.formula.gradients import Gradients
from lossmark.formula.grammar import Parser
from lossmark.formula.tree import Builder, Formula, Input
from lossmark.readings import exact
from lossmark.readings.convention import IEEE
from lossmark.readings.double_double import Wide
from lossmark.readings.overflow import Bounded
from lossmark.readings.rounding import two_doubles
from lossmark.tolerance.evaluate import Reading, plan_of

AXES = ("B", "D", "C")
DIMS = {"x": ("B", "C"), "y": ("B",)}
SHIFT = "detach(max(x, C))"
STABLE = f"lse(x - {SHIFT}, C) + ({SHIFT} - pick(x, y, C))"
TEXTBOOK = "lse(x, C) - pick(x, y, C)"


def parsed(text):
    build = Builder(AXES)
    leaves = {name: build("input", payload=name, dims=dims) for name, dims in DIMS.items()}
    return build, leaves, Parser(build, dict(leaves), {}).parse(text, Place("a spec", 1, 1, "formula"))


def formula(text):
    build, leaves, loss = parsed(text)
    inputs = tuple(Input(name, dims, "hard" if name == "y" else None) for name, dims in DIMS.items())
    found = Formula(loss, (), inputs, ("x",), (), AXES)
    return Gradients(found, tuple(gradients(build, found.evaluations, {"x": leaves["x"]})))


def exactly(known, x, y):
    """The losses ``[B]`` and their gradient ``[B, C]`` as balls."""
    leaves = {"x": exact.lifted(x, DIMS["x"], AXES), "y": exact.lifted(y, DIMS["y"], AXES)}
    leaves["seed"] = exact.single(arb(1), AXES)
    found = exact.evaluate(known.order, leaves, IEEE, AXES)
    slopes = np.broadcast_to(found[known.trees[0]["x"]], (len(x), 1, x.shape[1]))
    return found[known.formula.loss].ravel(), slopes.reshape(x.shape)


def bounded(known, x, y, dtype):
    """The losses and their gradient with what computed ones may be off by."""
    reading = Reading(plan_of(known), {}, dtype)
    with np.errstate(all="ignore"):
        unseeded = reading.unseeded({"x": x.reshape(len(x), 1, -1), "y": y.reshape(-1, 1, 1)})
        one = np.ones((len(x), 1, 1))
        seed = Bounded(Wide(one, np.zeros_like(one) if dtype.p == 53 else None), np.zeros_like(one))
        return reading.values(unseeded)[0], reading.gradients(unseeded, seed)[0]["x"]


def batch(dtype, rows, classes, scale, seed=0):
    generator = np.random.default_rng(seed)
    return dtype.round(scale * generator.standard_normal((rows, classes))), generator.integers(0, classes, rows).astype(
        float
    )


def confident(dtype, offset=0.0):
    """Rows whose class has the probability 1 - 2^-k, k = 3 … 11, shifted by an offset."""
    x = np.zeros((9, 4))
    x[:, 1] = np.arange(3, 12) * np.log(2) + np.log(3)
    return dtype.round(dtype.round(x) + offset), np.ones(9)


@pytest.mark.parametrize("text", [STABLE, TEXTBOOK])
@pytest.mark.parametrize("classes", [1, 2, 7])
def test_the_exact_reading_is_minus_the_logarithm_of_softmax(text, classes):
    x, y = batch(DTYPES["float64"], 5, classes, 4.0)
    with ctx.workprec(200), mpmath.workdps(50):
        losses, slopes = exactly(formula(text), x, y)
        for row, label, loss, slope in zip(x, y.astype(int), losses, slopes, strict=True):
            powers = [mpmath.exp(mpmath.mpf(float(number))) for number in row]
            shares = [power / sum(powers) for power in powers]
            assert abs(mpmath.mpf(loss.str(45, radius=False)) + mpmath.log(shares[label])) < 1e-40
            for place, (share, number) in enumerate(zip(shares, slope, strict=True)):
                assert abs(mpmath.mpf(number.str(45, radius=False)) - (share - (place == label))) < 1e-40


@pytest.mark.parametrize("text", [STABLE, TEXTBOOK])
def test_the_wide_reading_agrees_with_the_exact_one(text):
    known, dtype = formula(text), DTYPES["float64"]
    x, y = batch(dtype, 6, 9, 5.0)
    x[0, 3] = -np.inf  # an impossible class
    y[0] = 2
    with ctx.workprec(256):
        truths = exactly(known, x, y)
    for found, truth in zip(bounded(known, x, y, dtype), truths, strict=True):
        high, low = np.array([two_doubles(number) for number in truth.ravel()]).T
        error = np.abs((found.v.hi.ravel() - high) + (found.v.lo.ravel() - low))
        assert np.all(error <= found.e.ravel() * 2.0**-26 + 2.0**-1000)


def shifted(x, y):
    """In the dtype of x: the losses and p - δ, shifted by the largest."""
    rows = np.arange(len(x))
    away = x - x.max(1, keepdims=True)
    powers = np.exp(away)
    total = powers.sum(1, keepdims=True)
    slope = powers / total
    slope[rows, y] -= 1
    return np.log(total)[:, 0] - away[rows, y], slope


def online(x, y):
    """In the dtype of x: one class after the other, with a running maximum."""
    rows, most, total = np.arange(len(x)), x[:, 0], np.ones(len(x), x.dtype)
    for column in x.T[1:]:
        larger = np.maximum(most, column)
        total, most = total * np.exp(most - larger) + np.exp(column - larger), larger
    slope = np.exp(x - most[:, None]) / total[:, None]
    slope[rows, y] -= 1
    return np.log(total) + (most - x[rows, y]), slope


def unshifted(x, y):
    """In the dtype of x: lse(x) - x_y."""
    rows, most = np.arange(len(x)), x.max(1)
    whole = most + np.log(np.exp(x - most[:, None]).sum(1))
    slope = np.exp(x - whole[:, None])
    slope[rows, y] -= 1
    return whole - x[rows, y], slope


def used(text, way, dtype, inside, batch_):
    """The largest shares of the bounds of value and gradient that a way of computing uses, ``inside`` a dtype."""
    x, y = batch_
    known = bounded(formula(text), x, y, dtype)
    computed = way(x.astype(inside), y.astype(int))
    results = (np.asarray(part).astype(dtype.numpy).astype(np.float64) for part in computed)
    shares = []
    for got, part in zip(results, known, strict=True):
        off = np.abs(got.ravel() - part.v.hi.ravel())
        shares.append(float(np.max(off / np.maximum(part.e.ravel(), 2.0**-1000))))
    return tuple(shares)


@pytest.mark.parametrize("way", [shifted, online, unshifted])
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize(("rows", "classes", "scale"), [(64, 2, 2.0), (64, 10, 1.0), (16, 1000, 3.0)])
def test_right_ways_are_within_the_bound(way, dtype, rows, classes, scale):
    inside = np.float64 if dtype.p == 53 else np.float32
    assert max(used(TEXTBOOK, way, dtype, inside, batch(dtype, rows, classes, scale))) <= 1
    if way is not unshifted:
        assert max(used(STABLE, way, dtype, inside, batch(dtype, rows, classes, scale))) <= 1


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_the_bound_is_not_loose(dtype):
    """Somebody uses a good part of it."""
    inside = np.float64 if dtype.p == 53 else np.float32
    found = [used(STABLE, way, dtype, inside, batch(dtype, 64, 2, 2.0)) for way in (shifted, online)]
    assert max(value for value, _ in found) > (0.5 if dtype.p < 24 else 0.1)


@pytest.mark.parametrize("dtype", [DTYPES["bfloat16"], DTYPES["float16"]], ids=["bfloat16", "float16"])
def test_a_sum_in_16_bits_loses_the_loss_of_a_confident_row(dtype):
    value, slope = used(STABLE, shifted, dtype, dtype.numpy, confident(dtype))
    assert value > 10
    assert slope > 10
    assert max(used(STABLE, shifted, dtype, np.float32, confident(dtype))) <= 1


@pytest.mark.parametrize("dtype", [DTYPES["float64"], DTYPES["float32"]], ids=["float64", "float32"])
def test_a_common_offset_loses_digits_by_the_textbook_alone(dtype):
    inputs = confident(dtype, offset=1000.0)
    assert used(STABLE, unshifted, dtype, dtype.numpy, inputs)[0] > 10
    assert used(TEXTBOOK, unshifted, dtype, dtype.numpy, inputs)[0] <= 1
    assert max(used(STABLE, shifted, dtype, dtype.numpy, inputs)) <= 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max(x, C)", "max along an axis is written detach"),
        ("lse(y, C)", "lse takes what has the axis C"),
        ("sum(x, D)", "sum takes vectors over D"),
        ("lse(x)", "lse is written lse"),
        ("pick(x, y + 1, C)", "only a label can be an index"),
        ("softmax(x, x, C)", "softmax takes 1 argument"),
        ("lse(x, N)", r"unknown axis \(known: B, D, C\)"),
    ],
)
def test_what_is_written_wrong_is_refused_in_words(text, words):
    with pytest.raises(FormulaError, match=words):
        parsed(text)
