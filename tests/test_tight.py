"""Bounds that say too little: in 16 bits few cases have one, and each of them has a neighbour that is tight."""

import math

import numpy as np
import pytest

from lossmark.checks.judgement import loose
from lossmark.dtypes import DTYPES
from lossmark.specification.inputs import draw
from lossmark.specification.library import losses
from lossmark.tolerance.expected import expected

NEIGHBOURS = {
    ("bpr/cosine-tiny-norm", "float16"): "bpr/cosine-small-norm-half",
    ("pairwise_hinge/cosine-tiny-norm", "float16"): "pairwise_hinge/cosine-small-norm-half",
    ("bpr/random-positive-64x129", "bfloat16"): "bpr/random-positive-near-64x129",
    ("pairwise_hinge/random-positive-64x129", "bfloat16"): "pairwise_hinge/random-positive-near-64x129",
    ("clip/tiny-half", "float16"): "clip/small-norm-half",
    ("info_nce/tiny-half", "float16"): "info_nce/small-norm-half",
    ("nt_xent/tiny-half", "float16"): "nt_xent/small-norm-half",
    ("nt_xent/random-7x3", "bfloat16"): "nt_xent/random-2x8",
    ("nt_xent/random-64x129", "float16"): "nt_xent/random-7x3",
    ("supcon/tiny-half", "float16"): "supcon/small-norm-half",
    ("distill_kl/borders-64x3", "bfloat16"): "distill_kl/generic-wide",
    ("sigmoid_focal/borders-64", "bfloat16"): "sigmoid_focal/random-1000",
    ("sigmoid_focal/borders-64", "float16"): "sigmoid_focal/random-1000",
    ("siglip/tiny-half", "float16"): "siglip/small-norm-half",
    ("contrastive_pair/random-1x1", "bfloat16"): "contrastive_pair/random-other-1x1",
}


@pytest.mark.parametrize("loss", losses().values(), ids=lambda loss: loss.id)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_what_is_not_judged_has_a_neighbour_that_is(loss, dtype):
    form, found = DTYPES[dtype], {}
    families = [each for each in loss.families if not each.full and math.prod(each.shape) < 1 << 16]
    for case in [*loss.golden(dtype), *(draw(loss, family, form) for family in families)]:
        truth = expected(loss, case, form, np.ones(case.batch))
        values = all(loose([part], form) for part in truth.values.values())
        slopes = all(loose(list(parts.values()), form) for parts in truth.gradients.values())
        found[case.id] = values or slopes
    assert {case for case, too_wide in found.items() if too_wide} == {
        case for (case, at) in NEIGHBOURS if at == dtype and case.startswith(loss.id + "/")
    }
    assert all(not found[other] for (case, at), other in NEIGHBOURS.items() if at == dtype and case in found)
