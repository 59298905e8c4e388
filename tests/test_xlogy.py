"""The operation x·log(y): what it means at its edges, and which computations its bound admits and refuses."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx

from lossmark.dtypes import DTYPES, FLOAT32, FLOAT64
from lossmark.errors import Place
from lossmark.formula.derivative import gradients
from lossmark.formula.gradients import Gradients
from lossmark.formula.grammar import Parser
from lossmark.formula.tree import Builder, Formula, Input, topological
from lossmark.readings import exact, wide
from lossmark.readings.arithmetic import ULPS, Arithmetic
from lossmark.readings.balls import lift
from lossmark.readings.bound import RULES, WIDENING
from lossmark.readings.convention import IEEE
from lossmark.readings.double_double import Wide
from lossmark.readings.overflow import Bounded
from lossmark.specification.library import losses
from lossmark.tolerance.evaluate import Reading, plan_of

LOSS = losses()["kl_div"]
EDGES = [
    (0.0, 0.0, 0.0, 0.0),
    (0.0, 2.0, 0.0, 0.0),
    (0.0, np.inf, 0.0, 0.0),
    (0.0, -1.0, 0.0, 0.0),
    (0.0, np.nan, np.nan, np.nan),
    (np.nan, 0.5, np.nan, np.nan),
    (1.0, 0.0, -np.inf, np.inf),
    (-1.0, 0.0, np.inf, -np.inf),
    (0.5, 1.0, 0.0, 0.5),
    (1.0, -1.0, np.nan, -1.0),
    (0.5, np.inf, np.inf, 0.0),
]


@pytest.mark.parametrize(("x", "y", "product", "quotient"), EDGES)
def test_both_readings_of_numbers_agree_at_the_edges(x, y, product, quotient):
    for rule, expected in ((exact.RULES["xlogy"], product), (exact.RULES["xdivy"], quotient)):
        assert np.array_equal(float(rule(lift(x), lift(y))), expected, equal_nan=True)
    for low in (None, np.zeros(1)):
        with np.errstate(all="ignore"):
            both = Wide(np.array([x]), low), Wide(np.array([y]), low)
            found = wide.xlogy(*both).hi[0], wide.xdivy(*both).hi[0]
        assert np.array_equal(found, (product, quotient), equal_nan=True)


def entropy():
    """xlogy(z, z) of one number z, with its gradient."""
    build = Builder()
    z = build("input", payload="z", dims=("B",))
    loss = Parser(build, {"z": z}, {}).parse("xlogy(z, z)", Place("a spec", 1, 1, "formula"))
    found = Formula(loss, (), (Input("z", ("B",), ("B",)),), ("z",))
    return Gradients(found, tuple(gradients(build, found.evaluations, {"z": z})))


def read(known, dtype, **leaves):
    """Value of each evaluation, and the gradient, of leaves [B, 1]."""
    reading = Reading(plan_of(known), {}, dtype)
    rows = len(next(iter(leaves.values())))
    one = np.ones((rows, 1))
    seed = Bounded(Wide(one, np.zeros_like(one) if dtype.p == 53 else None), np.zeros_like(one))
    with np.errstate(all="ignore"):
        unseeded = reading.unseeded({name: np.reshape(x, (rows, -1)) for name, x in leaves.items()})
        return reading.values(unseeded), reading.gradients(unseeded, seed)[0]


def test_the_slope_of_the_entropy_is_one_and_the_logarithm_and_minus_infinity_at_0():
    z = np.array([0.0, 2.0**-20, 0.3, 1.0, 5.0])
    _, slopes = read(entropy(), FLOAT64, z=z)
    with np.errstate(divide="ignore"):
        expected = 1 + np.log(z)
    assert slopes["z"].v.hi.ravel() == pytest.approx(expected, rel=1e-15)


def test_nothing_is_rounded_where_x_is_0_or_y_is_1():
    for dtype in DTYPES.values():
        (value,), _ = read(entropy(), dtype, z=np.array([0.0, 1.0]))
        assert (value.e == 0).all()


def test_a_subnormal_number_may_be_flushed_in_both_places_but_not_in_the_logarithm_alone():
    z = np.array([FLOAT32.smallest_normal / 8])
    (value,), _ = read(entropy(), FLOAT32, z=z)
    assert abs(value.v.hi) <= value.e <= 1.1 * abs(value.v.hi)
    assert not value.also.allow(np.array([[-np.inf]])).any()


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.01), (0.2, 0.6), (0.0, 0.5), (0.9, 1.1), (3.0, 5.0), (0.0, 4.0)])
def test_the_bound_of_an_operand_that_is_off_covers_each_number_between(low, high):
    """A sum a + b that cancels is off by more than its own size: t·log(t) of it, for every t within the error."""
    middle, off = (low + high) / 2, (high - low) / 2
    z = Bounded(Wide(np.array([[middle]])), np.array([[off]]))
    exactly = middle * np.log(middle)
    with np.errstate(all="ignore"):
        e = RULES["xlogy"](Arithmetic(FLOAT32), Wide(np.array([[exactly]])), z, z)[0, 0]
    t = np.linspace(low, high, 1001)
    most = np.max(np.abs(t * np.log(np.where(t > 0, t, 1)) - exactly))
    assert most <= e <= 4 * most


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_the_worst_of_a_product_of_a_difference_is_within_the_bound(name):
    """p·(log p - log q) with a logarithm off by all it is granted and both steps rounded the wrong way.

    Without the association one class whose p·log q is exact would accuse it.
    """
    dtype = DTYPES[name]
    p, log_q = (
        np.array(x) for x in zip(*itertools.product((0.75, 0.9375, 0.375, 0.125), (-3, -24, -0.5)), strict=True)
    )
    values, _ = read(LOSS.gradients({}), dtype, p=p, log_q=log_q)
    first, second = (value.e.ravel() for value in values)
    logarithm = np.log(p)
    worst = np.abs(p * (logarithm - log_q))
    off = p * ULPS["xlogy"] * dtype.ulp(logarithm) + 2 * dtype.u * worst
    assert (off <= np.maximum(first, second) * WIDENING).all()
    assert (off > first * WIDENING).any()


def test_associations_of_the_divergence_are_equal_to_it():
    formula = LOSS.gradients({}).formula
    (association,) = formula.associations
    rows = LOSS.case("kl_div/generic-double").inputs
    with ctx.workprec(300):
        leaves = {x.name: exact.lifted(rows[x.name], x.dims, formula.axes) for x in LOSS.inputs}
        known = exact.evaluate(topological(formula.evaluations), leaves, IEEE, formula.axes)
        assert all(abs(known[association] - known[formula.loss]).ravel() < arb(2) ** -250)
    assert Fraction(1, 2) in {node.payload for node in topological([association])}
