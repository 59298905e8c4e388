"""The losses over classes: the form that many write, rows that do not count, what may be left out of a call."""

import itertools

import numpy as np
import pytest

from lossmark import Deviation
from lossmark.adapters.installed import framework_version
from lossmark.checks.consistency import Consistency
from lossmark.checks.judgement import SPOILT, TEXTBOOK_FORM, judge
from lossmark.checks.prepared import Prepared
from lossmark.checks.run import Run
from lossmark.dtypes import DTYPES
from lossmark.errors import SpecError
from lossmark.sandbox.target import targets
from lossmark.specification.assemble import assemble
from lossmark.specification.deviated import held_to
from lossmark.specification.document import parse
from lossmark.specification.library import losses
from lossmark.tolerance.expected import expected

LOSS = losses()["cross_entropy"]
TEXT = LOSS.document.text


def truth(case, dtype="float32"):
    return expected(LOSS, case, DTYPES[dtype], np.ones(case.batch))


def textbook(logits, target):
    """lse(x) - x_y, each step in float32."""
    x = logits.astype(np.float32)
    most = x.max(axis=1, keepdims=True)
    lse = (most + np.log(np.sum(np.exp(x - most), axis=1, keepdims=True))).astype(np.float32)
    return (lse - np.take_along_axis(x, target.astype(int)[:, None], axis=1))[:, 0]


def judged(case):
    """The textbook's form in float32, as it is judged."""
    got = textbook(case.inputs["logits"], case.inputs["target"])
    return judge(got, truth(case).values["none"], DTYPES["float32"], "none")


def test_the_form_that_many_write_gets_its_grade_under_an_offset_and_none_without():
    found = judged(LOSS.case("cross_entropy/offset-thousand"))
    assert (found.ok, found.grade) == (True, TEXTBOOK_FORM)
    found = judged(LOSS.case("cross_entropy/generic"))
    assert (found.ok, found.grade) == (True, "")


def test_that_form_excuses_nothing_where_its_own_bound_says_nothing():
    assert not judged(LOSS.case("cross_entropy/offset-negative")).ok


def test_one_large_row_does_not_hide_a_confident_one_that_is_lost():
    case = LOSS.case("cross_entropy/confident-mixed")
    accepted = truth(case, "bfloat16").values["none"]
    lost = accepted.exact.copy()
    assert judge(lost, accepted, DTYPES["bfloat16"], "none").ok
    lost[0] = 0.0
    assert not judge(lost, accepted, DTYPES["bfloat16"], "none").ok


def test_a_mean_divides_by_what_counts_and_of_nothing_it_is_free():
    case = LOSS.case("cross_entropy/weighted-ignored")
    found = truth(case, "float64").values
    counted = case.inputs["target"] >= 0
    divisor = case.inputs["weight"][case.inputs["target"][counted].astype(int)].sum()
    assert found["mean"].exact == pytest.approx(found["sum"].exact / divisor, rel=1e-14)
    nothing = truth(LOSS.case("cross_entropy/all-ignored"))
    assert np.isnan(nothing.values["mean"].exact)
    assert nothing.values["sum"].exact == 0
    assert nothing.gradients["mean"]["logits"].unspecified.all()
    assert nothing.gradients["sum"]["logits"].unspecified is None


@pytest.mark.parametrize("loss", ["cross_entropy", "linear_cross_entropy"])
def test_an_ignored_row_that_holds_nan_reaches_no_other_row_and_no_value(loss):
    """The gradient of such a row is 0; NaN there, and in a layer that all share, conforms with a grade."""
    loss = losses()[loss]
    case = loss.case(f"{loss.id}/ignored-garbage")
    found = expected(loss, case, DTYPES["float32"], np.ones(case.batch))
    assert np.isfinite(found.values["none"].exact).all()
    assert np.isfinite(found.values["mean"].exact)
    ignored = case.inputs["target"] < 0
    for name, accepted in found.gradients["sum"].items():
        right = accepted.exact.copy()
        assert np.isfinite(right).all()
        assert judge(right, accepted, DTYPES["float32"], name).grade == ""
        rows = ignored if case.by_example(name) else np.ones(len(right), bool)
        for x, row in itertools.product((np.nan, np.inf, 5.0), range(len(right))):
            changed = right.copy()
            changed[row] = x
            verdict = judge(changed, accepted, DTYPES["float32"], name)
            assert (verdict.ok, verdict.grade) == ((True, SPOILT) if np.isnan(x) and rows[row] else (False, ""))


def test_a_batch_in_the_large_holds_each_edge_with_its_own_number_of_classes():
    for large in LOSS.embedded:
        assert {part.width for part in large.parts} == {large.shape[1]}
        assert all(part.absent == {"weight"} for part in large.parts)


def test_a_changed_formula_keeps_what_its_mean_divides_by():
    case = LOSS.case("cross_entropy/weighted-ignored")
    clipped = held_to(Deviation(why="logits are clipped", clip={"logits": (-100, 100)}), LOSS)
    changed = expected(clipped, case, DTYPES["float64"], np.ones(case.batch)).values["mean"]
    assert changed.exact == pytest.approx(truth(case, "float64").values["mean"].exact, rel=1e-14)


def test_classes_in_another_order_have_the_same_losses():
    (target,) = targets(["numpy"])
    for case in (LOSS.case("cross_entropy/weighted-ignored"), losses()["soft_cross_entropy"].host):
        loss = losses()[case.loss]
        run = Run(target, loss, case, "cpu", "float64", "eager", ("permuted",))
        turned = Consistency(Prepared(run, case, DTYPES["float64"]), None, None)._classes_reversed
        here, there = (expected(loss, x, DTYPES["float64"], np.ones(x.batch)) for x in (case, turned))
        assert not np.array_equal(turned.inputs["logits"], case.inputs["logits"])
        for reduction in ("none", "mean"):
            assert there.values[reduction].exact == pytest.approx(here.values[reduction].exact, rel=1e-13)
        slopes = [x.gradients["mean"]["logits"].exact for x in (here, there)]
        assert slopes[1][:, ::-1] == pytest.approx(slopes[0], rel=1e-13)


def test_classes_stay_in_order_where_one_of_them_marks_a_row():
    (target,) = targets(["numpy"])
    case = LOSS.case("cross_entropy/ignored-in-range")
    run = Run(target, LOSS, case, "cpu", "float64", "eager", ("permuted",))
    assert Consistency(Prepared(run, case, DTYPES["float64"]), None, None)._classes_reversed is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ignore: ignore_index}", "ignore: nothing}", "a number among the parameters"),
        ("index: C,", "index: D,", "an axis of the inputs"),
        ("optional: [weight]", "optional: [target]", "an input that is optional"),
        ("{dims: [C], kind: weight", "{dims: [D], kind: weight", "found the axes B, C, expected B, C, D"),
        ("optional: true, default: 1,", "optional: true,", "what is optional has a default"),
        ('{mean: "sum(loss, B)/sum(weight_y, B)"}', '{mean: "sum(loss, B)/3"}', "expected sum(loss, B)/sum("),
        (
            '{mean: "sum(loss, B)/sum(weight_y, B)"}',
            '{mean: "sum(loss, B)/sum(hard, B)"}',
            "of no input in gradient_of",
        ),
        ("shape: {B: 7, C: 3}", "shape: [7, 3]", "expected a length of each of B, C"),
        ("shape: {B: 7, C: 3}", "shape: {B: 7, D: 3}", "expected B, C"),
        ("target: [0, 0, 1]\n", "target: [0, 0, 2]\n", "an index is one of 0 to 1"),
        ('loss: "where(label_smoothing == 0', 'loss: "where(hard == 0', "only a label of an example or a parameter"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(old, new, message):
    assert old in TEXT
    with pytest.raises(SpecError) as refused:
        assemble(parse(TEXT.replace(old, new, 1)))
    assert message in str(refused.value)


@pytest.mark.skipif(framework_version("jax") is None, reason="jax is not installed")
def test_jax_takes_classes_that_are_an_array_of_numpy():
    from lossmark.impls.jax_.losses import cross_entropy

    logits = np.zeros((3, 4), np.float32)
    marked = np.array([0, 1, 255], np.uint8)
    assert float(cross_entropy(logits, marked, ignore_index=255)) == pytest.approx(np.log(4))
    with pytest.raises(ValueError, match="target"):
        cross_entropy(logits, marked)
