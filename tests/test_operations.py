"""Operations of the language one by one: values and slopes against mpmath, bounds against computations."""

import mpmath
import numpy as np
import pytest
from flint import ctx

from lossmark.dtypes import BFLOAT16, FLOAT32, FLOAT64
from lossmark.errors import FormulaError, Place
from lossmark.formula.derivative import gradients
from lossmark.formula.grammar import Parser
from lossmark.formula.tree import Builder, topological
from lossmark.readings import bound, bound_classes, exact, wide
from lossmark.readings.arithmetic import Arithmetic
from lossmark.readings.balls import lift
from lossmark.readings.bound import WIDENING
from lossmark.readings.convention import IEEE
from lossmark.readings.double_double import Wide
from lossmark.readings.overflow import Bounded
from lossmark.readings.rounding import two_doubles

AXES = ("B", "D")
FUNCTIONS = {
    "tanh": mpmath.tanh,
    "logcosh": lambda x: mpmath.log(mpmath.cosh(x)),
    "log1mexp": lambda x: mpmath.log(1 - mpmath.exp(-x)),
}
POINTS = {"tanh": [-20, -1, 1e-9, 0.3, 5], "logcosh": [-800, -1, 1e-9, 0.3, 5], "log1mexp": [1e-9, 0.3, 5, 40]}
POWERS = [(0.3, 2), (1e-9, 0.5), (5, -1.5), (0.7, 0), (1, 3.7), (0.2, 1)]


def tree(text, names=("x", "y")):
    """A formula of the numbers x, y, with its gradient by x, and the order in which to read both."""
    build = Builder(AXES)
    leaves = {name: build("input", payload=name, dims=("B",)) for name in names}
    leaves["exponent"] = build("param", payload="exponent")
    loss = Parser(build, leaves, {}).parse(text, Place("a spec", 1, 1, "formula"))
    return loss, gradients(build, [loss], {"x": leaves["x"]})[0]["x"]


def read(text, **numbers):
    """Value and slope by x in the exact reading, at 300 bits, and what the wide reading has for them."""
    value, slope = tree(text)
    order = topological([value, slope])
    with ctx.workprec(300):
        found = exact.evaluate(
            order,
            {name: exact.single(lift(float(x)), AXES) for name, x in ({"seed": 1.0} | numbers).items()},
            IEEE,
            AXES,
        )
        exactly = [two_doubles(found[root].item()) for root in (value, slope)]
    known = {}
    with np.errstate(all="ignore"):
        for node in order:
            leaf = float(node.payload) if node.op == "const" else ({"seed": 1.0} | numbers).get(str(node.payload))
            args = [known[arg] for arg in node.args]
            known[node] = wide.RULES[node.op](*args) if args else Wide(np.full((1, 1), leaf), np.zeros((1, 1)))
    return exactly, [(known[root].hi.item(), known[root].lo.item()) for root in (value, slope)]


def agree(pair, other, rel=2.0**-98, absolute=0.0):
    return abs((mpmath.mpf(pair[0]) + pair[1]) - (mpmath.mpf(other[0]) + other[1])) <= rel * abs(other[0]) + absolute


@pytest.mark.parametrize(("name", "x"), [(name, x) for name, points in POINTS.items() for x in points])
def test_functions_and_their_slopes_are_those_of_mpmath(name, x):
    with mpmath.workprec(400):
        truths = FUNCTIONS[name](mpmath.mpf(x)), mpmath.diff(FUNCTIONS[name], mpmath.mpf(x), h=mpmath.mpf(2) ** -120)
        for exactly, widely, truth in zip(*read(f"{name}(x)", x=x), truths, strict=True):
            assert agree(exactly, (truth, 0), 2.0**-70)
            assert agree(widely, exactly, 2.0**-90, 2.0**-100)  # the slope of tanh is 1 - tanh²


@pytest.mark.parametrize(("x", "y"), POWERS)
def test_a_power_and_its_slope_are_those_of_mpmath(x, y):
    with mpmath.workprec(400):
        truths = mpmath.mpf(x) ** y, y * mpmath.mpf(x) ** (y - 1)
        for exactly, widely, truth in zip(*read("power(x, exponent)", x=x, exponent=y), truths, strict=True):
            assert agree(exactly, (truth, 0))
            assert agree(widely, exactly)


@pytest.mark.parametrize(
    ("x", "y", "value", "slope"),
    [
        (0, 2, 0, 0),
        (0, 1, 0, 1),
        (0, 0, 1, 0),
        (0, 0.5, 0, np.inf),
        (-1, 2, np.nan, np.nan),
        (np.inf, 2, np.inf, np.inf),
    ],
)
def test_a_power_at_its_edges(x, y, value, slope):
    exactly, widely = read("power(x, exponent)", x=x, exponent=y)
    for found in (exactly, widely):
        assert np.array_equal([high for high, _ in found], [value, slope], equal_nan=True)


@pytest.mark.parametrize(
    ("x", "y", "value", "slope"),
    [
        (1, 2, np.logaddexp(1, 2), 1 / (1 + np.e)),
        (-np.inf, 3, 3, 0),
        (3, -np.inf, 3, 1),
        (900, 900, 900 + np.log(2), 0.5),
    ],
)
def test_logaddexp_and_its_slope(x, y, value, slope):
    for found in read("logaddexp(x, y)", x=x, y=y):
        assert [high for high, _ in found] == pytest.approx([value, slope], rel=1e-15)


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("name", [*FUNCTIONS, "power 2", "power 0.5", "power -1", "power 3.7"])
def test_the_bound_covers_every_number_within_the_error_of_the_operand_and_is_not_much_wider(name, dtype):
    name, _, exponent = name.partition(" ")
    more = [Bounded(Wide(np.array([[float(exponent)]])), np.zeros((1, 1)))] if exponent else []
    for middle in (0.05, 0.4, 1.0, 3.0, 9.0):
        for off in (0.0, 1e-3, 0.04, 0.3 * middle):
            x = Bounded(Wide(np.array([[middle]])), np.array([[off]]))
            between = Wide(np.linspace(middle - off, middle + off, 1001))
            found = wide.RULES[name](between, *(Wide(y.v.hi[0]) for y in more)).hi
            v = wide.RULES[name](x.v, *(y.v for y in more))
            e = bound.RULES[name](Arithmetic(dtype), v, x, *more).item()
            free = bound.RULES[name](Arithmetic(dtype), v, Bounded(x.v, 0 * x.e + 1e-300), *more).item()
            most = np.max(np.abs(found - v.hi))
            assert most <= e * WIDENING
            assert e <= 4 * most + free


def test_other_arguments_than_a_number_or_a_parameter_are_refused_as_exponent():
    with pytest.raises(FormulaError, match="the exponent of power is a number or a parameter"):
        tree("power(x, y)")


def test_a_probability_may_be_computed_from_logits_less_the_largest():
    """exp((x - m) - log S) rounds twice at |x - L| where exp(x - L) rounds m + log S; where m is 0 it rounds once."""
    rng = np.random.default_rng(3)
    x = FLOAT32.round(rng.uniform([-0.5, -10, -65], [0.5, -8, -64], (4000, 3)))
    for shift, most in ((0.0, 0.6), (x[:, :1], 0.3)):
        logits = FLOAT32.round(x - shift)
        below = np.float32(logits) - np.float32(logits.max(axis=1, keepdims=True))
        got = np.exp(below - np.log(np.sum(np.exp(below), axis=1, keepdims=True)))
        p = Wide(wide.softmax(Wide(logits), 1).hi)
        e = bound_classes.softmax(Arithmetic(FLOAT32), p, Bounded(Wide(logits), 0 * logits), 1)
        assert most < np.max(np.abs(got - p.hi) / e) <= 1


@pytest.mark.parametrize("offset", [0.0, 1e17, 1e200])
def test_shares_do_not_depend_on_a_common_offset(offset):
    """They are those without one, exact in double-double, and within the bound of float64 in that."""
    zeros = np.zeros((1, 4))
    for lo in (None, zeros):
        x = Wide(np.full((1, 4), offset), lo)
        for found, right in ((wide.softmax(x, 1).hi, 0.25), (wide.joint_softmax(x, x, 1).hi, 0.125)):
            plain = Bounded(Wide(np.zeros((1, round(1 / right)))), np.zeros((1, round(1 / right))))
            shares = Wide(np.full(plain.v.hi.shape, right))
            e = bound_classes.softmax(Arithmetic(FLOAT64), shares, plain, 1)[:, :4] if lo is None else zeros
            assert np.all(np.abs(found - right) <= e)
