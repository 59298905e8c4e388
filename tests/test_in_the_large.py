"""Golden cases in larger batches: every edge stands where it should, and reading rows once is reading them all."""

from dataclasses import replace

import numpy as np
import pytest

from lossmark.dtypes import DTYPES
from lossmark.specification.in_the_large import BORDERS, MANY, embed
from lossmark.specification.library import losses
from lossmark.suite.plan import Choice, plan
from lossmark.tolerance.expected import expected

LOSSES = list(losses().values())
SINGLE = [loss for loss in LOSSES if not loss.coupled]
"""Those whose examples do not depend on one another; what the others expect changes with what stands beside it."""
SMALL = [(loss, large) for loss in LOSSES for large in loss.embedded if large.shape[0] == 26]
SMALL += [
    (loss, large) for loss in LOSSES for large in loss.embedded if large.id == "contrastive_pair/in-the-large-150x2049"
]


def rows(array):
    """Every example as a set of numbers: columns change places and zeros are added."""
    return {tuple(sorted(row[row != 0].tolist(), key=repr)) for row in array.reshape(len(array), -1)}


@pytest.mark.parametrize("loss", SINGLE, ids=lambda loss: loss.id)
def test_sizes_cross_every_border(loss):
    default = [large for large in loss.embedded if not (large.beyond or large.params)]
    wanted = {size + more for size in (*BORDERS, *MANY) for more in (0, 1)}
    assert wanted <= {large.shape[0] for large in default}
    if len(default[0].shape) == 2 and loss.widens:
        assert {size + more for size in BORDERS for more in (0, 1)} <= {large.shape[1] for large in default}
    assert len({large.id for large in loss.embedded}) == len(loss.embedded)


@pytest.mark.parametrize(("loss", "large"), SMALL, ids=[large.id for _, large in SMALL])
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_rows_read_once_are_as_rows_read_each(loss, large, dtype):
    if dtype not in large.dtypes or (large.beyond and dtype == "float64"):
        pytest.skip("no such case, or a bound that depends on what else is read in the arithmetic of long double")
    case = embed(large, DTYPES[dtype])
    assert case.shape == large.shape
    weights = case.repeats.expand(np.arange(1.0, 1 + case.distinct.batch))
    once, each = (expected(loss, one, DTYPES[dtype], weights) for one in (case, replace(case, repeats=None)))
    pairs = [(once.values[name], each.values[name]) for name in each.values]
    for name, slopes in each.gradients.items():
        pairs += [(once.gradients[name][of], slope) for of, slope in slopes.items()]
        kinks = once.kinks[name], each.kinks[name]
        assert (kinks[0] is None) == (kinks[1] is None)
        if kinks[0]:
            assert np.array_equal(kinks[0].rows, kinks[1].rows)
            for of, side in kinks[1].at_one.items():
                assert np.array_equal(kinks[0].at_one[of], side)
    rounding = 4 * sum(case.shape) * 2.0**-53  # the bounds are sums over rows and columns, in another order
    for mine, other in pairs:
        assert np.array_equal(mine.exact, other.exact, equal_nan=True)
        assert np.allclose(mine.bound, other.bound, rtol=rounding, atol=0, equal_nan=True)
        nan = np.full(mine.shape, np.nan)
        assert np.array_equal(*(part.also.allow(nan) | np.isnan(part.exact) for part in (mine, other)))


@pytest.mark.parametrize("loss", SINGLE, ids=lambda loss: loss.id)
def test_every_edge_is_among_the_first_and_among_the_last_rows(loss):
    """And in the middle; without ``--full`` and in every dtype, where the parameters are the default ones."""
    for dtype in DTYPES.values():
        there = [embed(large, dtype) for large in loss.embedded if dtype.name in large.dtypes and not large.full]
        tall = [case for case in there if case.batch == 4097]
        for golden in loss.golden(dtype.name):
            if golden.params or golden.few or (there and golden.absent != there[0].absent):
                continue
            for name, array in golden.inputs.items():
                if not golden.by_example(name):
                    continue
                for part in (slice(None, 400), slice(1500, 2500), slice(-400, None)):
                    found = set().union(*(rows(case.inputs[name][part]) for case in tall if not case.params))
                    assert {repr(row) for row in rows(array)} <= {repr(row) for row in found}, golden.id


def test_an_edge_stands_in_the_first_column_and_in_the_last():
    (large,) = (large for large in losses()["bpr"].embedded if large.id == "bpr/in-the-large-4097x9")
    u = embed(large, DTYPES["float32"]).inputs["u"]
    assert np.array_equal(np.flatnonzero(u.any(axis=0)), [0, 4, 8])
    one_column = u[np.count_nonzero(u, axis=1) == 1]
    assert one_column.any(axis=0)[[0, 4, 8]].all()


def test_few_are_planned_and_all_under_full():
    few, every = (
        plan(losses(), Choice(impls=("numpy",), case="*/in-the-large-*", full=full)) for full in (False, True)
    )
    assert 0 < len(few) < len(every) / 3
    assert {run.case.id for run in every} == {large.id for loss in LOSSES for large in loss.embedded}


def test_golden_cases_of_coupled_losses_stand_in_no_larger_batch():
    coupled = [loss for loss in LOSSES if loss.coupled]
    assert coupled
    assert not any(loss.embedded for loss in coupled)
