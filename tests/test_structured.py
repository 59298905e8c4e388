"""Structured rows: what is certified of few entries is what the whole has, and what makes no sense is refused."""

from dataclasses import replace

import numpy as np
import pytest

from lossmark.dtypes import DTYPES
from lossmark.errors import SpecError
from lossmark.golden.certified import certified
from lossmark.specification.assemble import assemble
from lossmark.specification.document import parse
from lossmark.specification.hexfloat import parse as number
from lossmark.specification.library import losses
from lossmark.specification.structured import expanded
from lossmark.tolerance.expected import expected

VOCABULARIES = [(loss, case) for loss in losses().values() for case in loss.cases if case.few is not None]
TEXT = """
lossmark: 1
loss: many
title: a test
since: "1.0"
source: {document: none, section: "1"}
summary: a test
inputs:
  x: {dims: [B, D], kind: embedding, meaning: x}
  w: {dims: [D], kind: weight, meaning: w}
  target: {dims: B, label: {index: D}, meaning: an entry}
formula:
  loss: "lse(x - pick(x, target, D), D) + norm(x)*mean(x, D) + sqnorm(x) + dot(x, w) + sum(softmax(x, D)*x, D)"
gradient_of: [x]
cases:
  - id: many/rows
    since: "1.0"
    why: a test
    rows:
      axis: D
      counts: [3, 1, 1, 4]
      seed: 5
      inputs:
        x: [["0x1p+0", "0x1p-1", "-0x1p+1", "0x1p-2"], ["-0x1p+0", "0x1p+1", "0x0p+0", "0x1p+0"]]
        w: ["0x1p+0", "0x1p-2", "0x1p-1", "-0x1p+0"]
        target: [1, 2]
"""


def floats(texts):
    return np.array([[number(x) for x in row] if isinstance(row, list) else number(row) for row in texts])


def thinned(loss, case):
    """The case with at most five of each entry."""
    rows = case.golden.rows.model_copy(update={"counts": [min(count, 5) for count in case.golden.rows.counts]})
    few = replace(case.few, counts={rows.axis: rows.counts})
    return expanded(few, rows, loss.inputs), rows


@pytest.mark.parametrize(
    ("loss", "case"),
    [*VOCABULARIES, *((loss, case) for loss in [assemble(parse(TEXT))] for case in loss.cases)],
    ids=lambda x: getattr(x, "id", None),
)
def test_the_certified_numbers_of_few_entries_are_those_of_the_whole(loss, case):
    """Of at most five of each entry, so that the whole can be read exactly, too."""
    case, rows = thinned(loss, case)
    few, whole = certified(loss, case), certified(loss, replace(case, few=None))
    assert (few.value, few.mean) == (whole.value, whole.mean)
    for name, grad in few.grad.items():
        if rows.axis in case.dims[name]:
            axis = case.dims[name].index(rows.axis)
            assert np.array(grad).take(places(rows), axis).tolist() == whole.grad[name]
        else:
            assert grad == whole.grad[name]


@pytest.mark.parametrize(("loss", "case"), VOCABULARIES, ids=[case.id for _, case in VOCABULARIES])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_vocabulary_is_read_as_it_is_certified(loss, case, dtype):
    """The reading of 128,256 classes in float64 is within 2⁻²⁶ of the bound around the certified numbers of the few."""
    assert case.sizes["C"] == 128_256
    found = expected(loss, case, DTYPES[dtype], np.ones(case.batch))
    expect = case.golden.expect
    pairs = [(found.values["none"], floats(expect.value)), (found.values["mean"], np.array(number(expect.mean)))]
    for name, grad in expect.grad.items():
        few = floats(grad)
        if "C" in case.dims[name]:
            axis = case.dims[name].index("C")
            few = few.take(places(case.golden.rows), axis)
        pairs.append((found.gradients["sum"][name], few))
    for accepted, right in pairs:
        assert np.all(np.abs(accepted.exact - right) <= 2.0**-26 * accepted.bound)


def places(rows):
    """Which of the few each entry is, from the order that the seed gives."""
    order = np.repeat(np.arange(len(rows.counts)), rows.counts)
    return np.random.Generator(np.random.PCG64([rows.seed, len(order)])).permutation(order)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("axis: D", "axis: C", "found 'C', expected one of D"),
        ("axis: D", "axis: B", "found 'B', expected one of D"),
        ("counts: [3, 1, 1, 4]", "counts: [3, 1, 1]", "found 3 counts, expected one of each of 4 entries"),
        ("counts: [3, 1, 1, 4]", "counts: [3, 2, 1, 4]", "an entry that target picks occurs more than once"),
        ("counts: [3, 1, 1, 4]", "counts: [3, 1, 1, 0]", "greater than or equal to 1"),
        ("counts: [3, 1, 1, 4]", "counts: [3, 1, 1, 262144]", "found 262149 entries, expected 262144 at most"),
        ("target: [1, 2]", "target: [1, 4]", "an index is one of 0 to 3"),
        ('w: ["0x1p+0", ', 'w: ["0x1p+0", "0x1p+0", ', "wrong shape"),
        ("    rows:", "    inputs: {}\n    rows:", "expected one of inputs and rows"),
        ("        w: [", "        z: [", "found inputs ['x', 'z', 'target']"),
        ("seed: 5", "seed: -5", "greater than or equal to 0"),
    ],
)
def test_rows_that_make_no_sense_are_refused(old, new, message):
    assert old in TEXT
    with pytest.raises(SpecError) as refused:
        assemble(parse(TEXT.replace(old, new, 1)))
    assert message in str(refused.value)
