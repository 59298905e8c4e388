"""Where intermediates leave the range of a format: what conforms, with what grade, and what does not."""

from fractions import Fraction

import numpy as np
import pytest

import lossmark
from lossmark.checks.judgement import UNDERFLOW, judge, slopes
from lossmark.dtypes import DTYPES, FLOAT32
from lossmark.readings import bound_sums
from lossmark.readings.arithmetic import Arithmetic
from lossmark.readings.double_double import Wide, two_prod
from lossmark.readings.overflow import Bounded, overflow
from lossmark.specification.case import Case
from lossmark.specification.library import losses
from lossmark.tolerance.acceptance import Acceptance
from lossmark.tolerance.expected import expected, expected_of_many
from lossmark.tolerance.reduced import divisor, reduce
from lossmark.tolerance.transformed import added

PAIR = losses()["contrastive_pair"]
EXPONENTS = {"float64": -530, "float32": -68, "bfloat16": -68, "float16": -9}
"""Of distances whose squares are subnormal."""


def truth(name, exponent, label, dims=3):
    """What a pair at the distance 2**exponent, along the first axis, expects."""
    x = np.zeros((1, dims))
    x[0, 0] = 2.0**exponent
    case = Case("contrastive_pair/drawn", PAIR.id, {}, {"x1": x, "x2": 0 * x, "y": np.array([float(label)])}, PAIR.dims)
    return expected(PAIR, case, DTYPES[name], np.ones(1))


def judged(found, gradient, name):
    """The verdict on a gradient by the first embedding, whose first component is given."""
    whole = np.zeros((1, 3))
    whole[0, 0] = gradient
    accepted = {"x1": found.gradients["sum"]["x1"]}
    return slopes({"x1": whole}, accepted, found.kinks["sum"], DTYPES[name], "sum")


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("label", [0, 1])
def test_the_accurate_gradient_has_no_grade_and_the_textbooks_zero_has_one(name, label):
    found = truth(name, EXPONENTS[name], label)
    exact = float(found.gradients["sum"]["x1"].exact[0, 0])
    assert exact
    assert (judged(found, exact, name).ok, judged(found, exact, name).grade) == (True, "")
    assert (judged(found, 0.0, name).ok, judged(found, 0.0, name).grade) == (True, UNDERFLOW)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("factor", [-np.inf, -0.5, -1.0, 2.5])
def test_what_no_underflow_gives_is_wrong(name, label, factor):
    found = truth(name, EXPONENTS[name], label)
    assert not judged(found, factor * float(found.gradients["sum"]["x1"].exact[0, 0]), name).ok


@pytest.mark.parametrize("name", DTYPES)
def test_a_division_by_the_lost_norm_conforms_with_the_grade(name):
    """x/0 is infinite, and with a weight of 2·0 NaN; at a distance of 0 neither conforms."""
    near, far = truth(name, EXPONENTS[name], 1), truth(name, EXPONENTS[name], 0)
    assert judged(near, np.nan, name).grade == judged(far, np.nan, name).grade == UNDERFLOW
    assert judged(far, np.inf * float(far.gradients["sum"]["x1"].exact[0, 0]), name).grade == UNDERFLOW
    assert not judged(near, np.inf, name).ok
    zero = Case(
        "contrastive_pair/drawn",
        PAIR.id,
        {},
        {"x1": np.zeros((1, 3)), "x2": np.zeros((1, 3)), "y": np.ones(1)},
        PAIR.dims,
    )
    assert not judged(expected(PAIR, zero, DTYPES[name], np.ones(1)), np.nan, name).ok


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("label", [0, 1])
def test_nothing_is_lost_where_the_squares_are_normal(name, label):
    dtype = DTYPES[name]
    found = truth(name, dtype.emin // 2 + 1, label)
    exact = float(found.gradients["sum"]["x1"].exact[0, 0])
    assert judged(found, exact, name).ok
    for wrong in (0.0, exact * (1 + 16 * dtype.u)):
        assert not judged(found, wrong, name).ok


def test_a_quotient_by_the_norm_that_is_subnormal_is_graded():
    """x/‖x‖ of a small component beside a large one, times twice the norm, in float16: it may be lost, or in part."""
    x = np.array([[258.75, -(2.0**-9)]])
    case = Case("contrastive_pair/drawn", PAIR.id, {}, {"x1": x, "x2": 0 * x, "y": np.ones(1)}, PAIR.dims)
    found = expected(PAIR, case, DTYPES["float16"], np.ones(1))
    quotient = (x / 258.75).astype(np.float16)
    textbook = (quotient * np.float16(2 * 258.75)).astype(np.float64)
    accepted = {"x1": found.gradients["sum"]["x1"]}
    judgement = slopes({"x1": textbook}, accepted, found.kinks["sum"], DTYPES["float16"], "sum")
    assert textbook[0, 1] != 2 * x[0, 1]
    assert (judgement.ok, judgement.grade) == (True, UNDERFLOW)
    assert not slopes({"x1": 2 * x * [1, -1]}, accepted, found.kinks["sum"], DTYPES["float16"], "sum").ok


@pytest.mark.parametrize(("signs", "conform"), [((1, 1, -1), [np.inf]), ((1, 1, -1, -1), [np.inf, -np.inf, np.nan])])
def test_a_sum_over_the_batch_may_overflow_on_the_way(signs, conform):
    losses = 3e38 * np.array([signs], float).T
    example = Acceptance(exact=losses, exact_low=None, bound=np.zeros_like(losses))
    count = divisor(None, len(losses), DTYPES["float32"])
    for reduction in ("sum", "mean"):
        accepted = reduce(example, reduction, DTYPES["float32"], count)
        for number in (np.inf, -np.inf, np.nan):
            got = np.asarray(number, np.float32)
            assert judge(got, accepted, DTYPES["float32"], reduction).ok == any(
                np.array_equal(number, one, equal_nan=True) for one in conform
            )
    few = reduce(Acceptance(exact=losses / 4, exact_low=None, bound=0 * losses), "sum", DTYPES["float32"], count)
    assert not judge(np.asarray(np.inf, np.float32), few, DTYPES["float32"], "sum").ok


def test_the_value_of_a_cosine_whose_norm_underflows_is_graded():
    """‖u‖ = 2⁻⁷⁰ is 0 by the textbook in float32, so that the guard divides; a NaN is no result of that."""
    loss = losses()["bpr"]
    u, d = np.array([[2.0**-70, 0.0]]), np.array([[2.0**60, 0.0]])
    case = Case("bpr/drawn", loss.id, {"similarity": "cosine"}, {"u": u, "d_pos": 0 * d, "d_neg": d}, loss.dims)
    accepted = expected(loss, case, DTYPES["float32"], np.ones(1)).values["sum"]
    right, guarded = np.log1p(np.exp(1.0)), 2.0**-10 / 1e-8  # softplus(x) is x here
    assert judge(np.asarray(right, np.float32), accepted, DTYPES["float32"], "sum").grade == ""
    assert judge(np.asarray(guarded, np.float32), accepted, DTYPES["float32"], "sum").grade == UNDERFLOW
    assert not judge(np.asarray(np.nan, np.float32), accepted, DTYPES["float32"], "sum").ok


@pytest.mark.parametrize("name", DTYPES)
def test_the_slope_at_a_zero_vector_may_be_its_infinity_or_nan_in_float16_alone(name):
    loss = losses()["pairwise_hinge"]
    case = loss.case("pairwise_hinge/cosine-zero-vector")
    accepted = expected(loss, case, DTYPES[name], np.ones(case.batch)).gradients["sum"]["d_pos"]
    assert accepted.exact[1, 0] == -1e8

    def conforms(x):
        found = np.where(np.isfinite(accepted.exact), accepted.exact, 0.0)
        found[1, 0] = x
        return judge(found, accepted, DTYPES[name], "sum by d_pos").ok

    assert conforms(-1e8)
    assert [conforms(x) for x in (-np.inf, np.nan)] == [name == "float16"] * 2
    assert not any(conforms(x) for x in (np.inf, 0.0, -65504.0))


def test_opposite_infinities_that_meet_where_gradients_are_added_may_be_nan():
    dtype = DTYPES["float16"]
    large = np.array([[1e5]])
    plus, minus = (
        Acceptance(exact=x, exact_low=None, bound=0 * large, also=overflow(dtype, Wide(x), 0 * large))
        for x in (large, -large)
    )
    infinities = np.array([[np.inf], [-np.inf], [np.nan]])
    assert added(plus, minus, dtype).also.allow(infinities).tolist() == [[True], [True], [True]]
    assert added(plus, plus, dtype).also.allow(infinities).tolist() == [[True], [False], [False]]


@pytest.mark.parametrize("name", ["huber", "kl_div", "multi_margin"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_bound_does_not_depend_on_an_overflow_in_another_row(name, dtype):
    """The golden cases are read as one batch: what one may be instead of a number is no matter to its neighbours."""
    loss = losses()[name]
    cases = [case for case in loss.golden(dtype) if case.width < 5000]
    assert any("Overflow" in case.flags or "Infinite" in case.flags for case in cases)
    ones = [np.ones(case.batch) for case in cases]
    together = expected_of_many(loss, cases, DTYPES[dtype], ones)
    for case, weights, found in zip(cases, ones, together, strict=True):
        alone = expected(loss, case, DTYPES[dtype], weights)
        for reduction, slopes_alone in alone.gradients.items():
            parts = [(alone.values[reduction], found.values[reduction])]
            parts += [(part, found.gradients[reduction][by]) for by, part in slopes_alone.items()]
            for part, other in parts:
                assert np.array_equal(part.bound, other.bound, equal_nan=True), (case.id, reduction)
                assert np.array_equal(free(part), free(other)), (case.id, reduction)


def free(accepted):
    """Where any number conforms."""
    return np.zeros(accepted.shape, bool) if accepted.unspecified is None else accepted.unspecified


@pytest.mark.parametrize("name", ["bce_with_logits", "contrastive", "distill_kl", "kl_div", "soft_cross_entropy"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_beside_the_nan_of_zero_times_infinity_its_limit_conforms_and_no_other_number(name, dtype):
    loss, found = losses()[name], 0
    for case in loss.golden(dtype):
        accepted = expected(loss, case, DTYPES[dtype], np.ones(case.batch), ()).values["none"]
        if accepted.limit is None:
            continue
        for row in np.flatnonzero(np.isnan(accepted.exact) & np.isfinite(accepted.limit.exact)):
            one, number = accepted.rows(slice(row, row + 1)), accepted.limit.exact[row]
            seen = [judge(np.array([x]), one, DTYPES[dtype], "none").ok for x in (np.nan, number, number + 1, 7.0)]
            assert seen == [True, True, False, False], (case.id, row)
            found += 1
    assert found


def accepted(loss, dtype, params=None, **inputs):
    """What one drawn case expects under ``sum``."""
    spec = losses()[loss]
    arrays = {name: np.array(x, float) for name, x in inputs.items()}
    case = Case(f"{loss}/drawn", spec.id, params or {}, arrays, spec.dims)
    return expected(spec, case, DTYPES[dtype], np.ones(case.batch))


def test_a_gradient_that_underflows_times_a_norm_that_overflows_may_be_nan_and_either_infinity():
    """‖d⁻‖ is beyond float32, so that sim/‖u‖‖d⁻‖ is 0; with a norm in range a NaN is no result."""
    u, zero = [[0.0, 1.0, -(2.0**-126)]], [[0.0, 0.0, 0.0]]
    params = {"similarity": "cosine"}
    for scale, conforms in ((1.0, True), (0.5, False)):
        d_neg = scale * np.array([[2.0**127, 0.0, 1.75 * 2.0**127]])
        slope = accepted("bpr", "float32", params, u=u, d_pos=zero, d_neg=d_neg).gradients["sum"]["u"]
        got = np.where(np.arange(3) == 1, np.nan, slope.exact)
        assert judge(got, slope, DTYPES["float32"], "sum by u").ok == conforms


def test_a_probability_that_underflows_times_a_logarithm_that_overflows_may_be_nan():
    student, teacher = [[-(2.0**127), 1.0, 0.0]], [[-0.5, 1.0, 14.375]]
    for temperature, conforms in ((0.125, True), (0.75, False)):
        found = accepted("distill_kl", "float32", {"temperature": temperature}, student=student, teacher=teacher)
        value = found.values["sum"]
        assert judge(np.asarray(value.exact, np.float32), value, DTYPES["float32"], "sum").ok
        assert judge(np.asarray(np.nan, np.float32), value, DTYPES["float32"], "sum").ok == conforms


def test_a_quotient_by_a_large_norm_that_is_subnormal_is_graded_where_no_square_is():
    """x/‖x‖ of 2⁻²³ beside 2¹²⁵ is 2⁻¹⁴⁸, of which half of the digits are lost if it is 1.5·2⁻¹⁴⁸."""
    x = np.array([[2.0**125, 1.25 * 2.0**-23]])
    found = accepted("contrastive_pair", "float32", x1=x, x2=0 * x, y=[1.0])
    slope = {"x1": found.gradients["sum"]["x1"]}
    quotient = np.float32(1.25 * 2.0**-148)
    textbook = np.array([[2.0**126, float(quotient * np.float32(2.0**126))]])
    assert textbook[0, 1] != 2 * x[0, 1]
    judgement = slopes({"x1": textbook}, slope, found.kinks["sum"], DTYPES["float32"], "sum")
    assert (judgement.ok, judgement.grade) == (True, UNDERFLOW)
    for wrong in (2.0**-20, -(2.0**-23)):
        assert not slopes({"x1": np.array([[2.0**126, wrong]])}, slope, None, DTYPES["float32"], "sum").ok


def test_numbers_beside_others_whose_squares_overflow_are_read_to_the_last_digit():
    """The batch is then read in long double: softplus must not drop what float64 does not hold of it."""
    u, d_neg = np.array([[16.0, 32.0], [1e300, 0.0]]), np.array([[0.7500005245448991, -0.125], [0.0, 0.0]])
    d_pos = np.array([[8.000681649851353, 4.000681649851353], [0.0, 0.0]])
    beside = accepted("bpr", "float64", u=u, d_pos=d_pos, d_neg=d_neg).values["none"]
    alone = accepted("bpr", "float64", u=u[:1], d_pos=d_pos[:1], d_neg=d_neg[:1]).values["none"]
    assert beside.exact[0] == alone.exact[0]
    assert beside.exact_low[0] == alone.exact_low[0]


def test_products_of_long_doubles_are_exact():
    x, y = (np.array([np.longdouble(1) / n]) for n in (3, 7))
    hi, lo = two_prod(x, y)
    ratios = [Fraction(*number[0].as_integer_ratio()) for number in (x, y, hi, lo)]
    assert ratios[0] * ratios[1] == ratios[2] + ratios[3]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["jax", "jax-fused"])
def test_jax_has_distances_up_to_the_largest_number(name, dtype):
    """XLA makes a product with 1/y of a quotient, and 1/y is subnormal, which it flushes to 0, where y is largest."""
    jax = pytest.importorskip("jax")
    loss = lossmark.load(name).losses["contrastive_pair"]
    with jax.enable_x64(dtype == "float64"):
        largest = DTYPES[dtype].largest
        x1, y = jax.numpy.asarray([[largest, 240.0], [0.6 * largest] * 2], dtype), jax.numpy.zeros(2, dtype)
        found = loss(x1=x1, x2=0 * x1, y=y, reduction="none")
    assert not np.any(np.asarray(found) > 0)  # beyond the margin it costs nothing; NaN is what 0·∞ makes of it


def test_jax_has_directions_of_the_longest_vectors():
    similarity = pytest.importorskip("lossmark.impls.jax_.similarity")
    x = np.array([[DTYPES["float32"].largest, 0.0], [2.0**127, -(2.0**127)], [3.0, 4.0]], np.float32)
    length = np.linalg.norm(x.astype(float), axis=1, keepdims=True)
    e = bound_sums.norm(Arithmetic(FLOAT32), Wide(length), Bounded(Wide(x.astype(float)), np.zeros(x.shape)), 1)
    found = similarity.norm(x)
    assert np.all(np.abs(np.asarray(found, float) - length[:, 0]) <= e[:, 0])
    # a product with the rounded 1/‖x‖ is two roundings more
    room = np.abs(x) / (length - e) * (e / length + 2 * FLOAT32.u * (1 + FLOAT32.u))
    assert np.all(np.abs(np.asarray(similarity.unit(x, found), float) - x / length) <= room)


def test_jax_fused_keeps_a_slope_that_is_normal_where_half_of_it_is_not():
    jax = pytest.importorskip("jax")
    loss = lossmark.load("jax-fused").losses["contrastive_pair"]
    x2 = np.array([[0.5, 2.0**-126, -(2.0**-9)]], np.float32)
    beside = {"x2": jax.numpy.asarray(x2), "y": jax.numpy.zeros(1, "float32"), "reduction": "sum"}
    found = np.asarray(jax.grad(lambda x1: loss(x1=x1, **beside))(jax.numpy.zeros((1, 3), "float32")), float)
    right = accepted("contrastive_pair", "float32", x1=np.zeros((1, 3)), x2=x2, y=[0.0]).gradients["sum"]["x1"]
    assert slopes({"x1": found}, {"x1": right}, None, DTYPES["float32"], "sum").ok
