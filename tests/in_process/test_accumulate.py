"""A coarser accumulator that is declared: sums that are kept in it conform, and without the declaration they do not."""

import numpy as np
import pytest

from lossmark.dtypes import BFLOAT16, DTYPES, FLOAT32, FLOAT64, accumulating, accumulator_of
from lossmark.testing import NonConforming, assert_conforms, bound

PAIRS = [("float32", "bfloat16"), ("float64", "float32"), ("bfloat16", "bfloat16"), ("float16", "float16")]
"""The dtype of inputs and results, and the coarser format that sums are kept in."""
B, D = 5, 300
ROUNDED_ANYWAY = {("cross_entropy", "float16"), ("siglip", "bfloat16"), ("siglip", "float16")}
"""Where what a format may round anyway is more than such a sum loses here."""


class Summing:
    """Sums of terms, one after the other in a random order, that round to a format every time; the terms too."""

    def __init__(self, name, seed):
        self.format, self.random = DTYPES[name], np.random.default_rng(seed)

    def total(self, terms):
        """The sum along the last axis."""
        terms = self.format.round(np.asarray(terms, np.float64))
        found = np.zeros(terms.shape[:-1])
        for place in self.random.permutation(terms.shape[-1]):
            found = self.format.round(found + terms[..., place])
        return found

    def dot(self, x, y):
        """Products of rounded numbers, rounded."""
        return self.total(self.format.round(x) * self.format.round(y))


def bpr(keep, result, x):
    pos, neg = (result.round(keep.dot(x["u"], x[name])) for name in ("d_pos", "d_neg"))
    return result.round(np.logaddexp(0, result.round(neg - pos)))


def contrastive_pair(keep, result, x):
    difference = result.round(x["x1"] - x["x2"])
    d = result.round(np.sqrt(keep.dot(difference, difference)))
    return result.round(
        x["y"] * result.round(d**2) + (1 - x["y"]) * result.round(np.maximum(result.round(20 - d), 0) ** 2)
    )


def cross_entropy(keep, result, x):
    below = result.round(x["logits"] - x["logits"].max(1, keepdims=True))
    terms = keep.format.round(np.exp(keep.format.round(below)))
    log_sum = result.round(keep.format.round(np.log(keep.total(terms))))
    return result.round(log_sum - below[np.arange(B), x["target"].astype(int)])


def siglip(keep, result, x):
    scores = keep.dot(x["image"][:, None, :], x["text"][None, :, :])
    scores = result.round(0.25 * result.round(scores))
    eye = np.eye(len(scores), dtype=bool)
    return result.round(keep.total(result.round(np.logaddexp(0, np.where(eye, -scores, scores)))))


LOSSES = {
    "bpr": (bpr, ("u", "d_pos", "d_neg"), {}),
    "contrastive_pair": (contrastive_pair, ("x1", "x2", "y"), {"margin": 20}),
    "cross_entropy": (cross_entropy, ("logits", "target"), {}),
    "siglip": (siglip, ("image", "text"), {"similarity": "dot", "scale": 0.25, "bias": 0.0}),
}


def drawn(names, dtype, seed):
    random = np.random.default_rng(seed)
    found = {name: dtype.round(0.5 + random.standard_normal((B, D)) / 2) for name in names}  # sums that grow
    found |= {"y": np.array([0.0, 1, 0, 1, 0])} if "y" in names else {}
    return found | ({"target": random.integers(0, D, B).astype(np.float64)} if "target" in names else {})


def tensors(inputs, dtype):
    return {name: x.astype(np.int64 if name == "target" else dtype.numpy) for name, x in inputs.items()}


def beyond(loss, inputs, dtype, got, **more):
    """Whether a result lies beyond its bound, too wide as that may be to say much."""
    found = bound(loss, tensors(inputs, dtype), params=LOSSES[loss][2], **more)
    return bool((np.abs(got - found.exact) > found.bound).any())


@pytest.mark.parametrize(("dtype", "kept"), PAIRS)
@pytest.mark.parametrize("loss", LOSSES)
def test_sums_kept_in_a_declared_format_are_within_its_bound_and_not_within_that_of_others(loss, dtype, kept):
    function, names, _ = LOSSES[loss]
    others = 0
    for seed in range(12):
        inputs, keep, result = drawn(names, DTYPES[dtype], seed), Summing(kept, seed), DTYPES[dtype]
        each = function(keep, result, inputs)
        mean = np.asarray(result.round(keep.total(each) / B))
        assert not beyond(loss, inputs, result, each, reduction="none", accumulate=kept)
        assert not beyond(loss, inputs, result, mean, accumulate=kept)
        others += beyond(loss, inputs, result, each, reduction="none")
    assert bool(others) == ((loss, dtype) not in ROUNDED_ANYWAY)


def test_what_a_sum_is_kept_in():
    assert accumulator_of(accumulating(FLOAT32, "bfloat16")).p == BFLOAT16.p
    assert accumulating(FLOAT32, "float64") == FLOAT32
    assert accumulator_of(FLOAT64) is FLOAT64
    assert accumulator_of(BFLOAT16) is FLOAT32
    own = accumulator_of(accumulating(BFLOAT16, "bfloat16"))
    assert (own.name, own.accumulator_p) == ("bfloat16", BFLOAT16.p)


def test_a_declaration_reaches_the_judgement_and_excuses_no_more():
    inputs = drawn(("logits", "target"), FLOAT32, 0)
    given = {"logits": inputs["logits"][:, :20].astype(np.float32), "target": inputs["target"].astype(np.int64) % 20}
    few = {"logits": inputs["logits"][:, :20], "target": inputs["target"] % 20}
    each = cross_entropy(Summing("bfloat16", 0), FLOAT32, few).astype(np.float32)
    with pytest.raises(NonConforming):
        assert_conforms("cross_entropy", given, each, reduction="none")
    found = assert_conforms("cross_entropy", given, each, reduction="none", accumulate="bfloat16")
    assert found.judged == B
    assert found.budget_used > 0.01
    plain = cross_entropy(Summing("float32", 0), FLOAT32, few).astype(np.float32)
    finer = assert_conforms("cross_entropy", given, plain, reduction="none", accumulate="float64")
    assert finer.judged == B
    with pytest.raises(NonConforming, match=r"the right result times 1\.99"):
        assert_conforms("cross_entropy", given, 2 * each, reduction="none", accumulate="bfloat16")
