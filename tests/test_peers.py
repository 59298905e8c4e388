"""Other people's losses: what each declares to do otherwise is needed, and explains what it does."""

import importlib.util

import pytest

from lossmark import Deviation
from lossmark.dtypes import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, accumulator_of, inside, over_batch
from lossmark.specification.deviated import complaint, counted, held_to
from lossmark.specification.library import losses
from tests.test_conformance import held

BOTH = """
import importlib
from dataclasses import replace
from lossmark import Implementation
module = importlib.import_module("lossmark.impls.peers.{module}")
peers = {{id(x): x for x in vars(module).values() if isinstance(x, Implementation)}}.values()
for peer in peers:
    for kind in ("bare", "declared"):
        impl = globals()[f"{{kind}} {{peer.name}}"] = Implementation(f"{{kind}} {{peer.name}}", peer.framework_name)
        for loss in peer.deviations.keys() & {losses}:
            deviates = replace(peer.deviations[loss], {changed}) if kind == "declared" else None
            impl.loss(loss, deviates=deviates)(peer.losses[loss])
"""
DECLARED = (
    ("torch_nn", "torch", "float16", "*/confident-[m-z]*",
     {"cross_entropy", "soft_cross_entropy", "linear_cross_entropy", "bce_with_logits"}),
    ("torch_output_layer", "torch", "float32", "*/one-class-cancelling", {"linear_cross_entropy"}),
    ("optax", "optax", "float16", "*/infinite-[rs]*", {"bpr", "sigmoid_focal"}),
    ("tensorflow_nn", "tensorflow", "float32", "*/*-[sw]*e*", {"soft_cross_entropy", "bce_with_logits"}),
    ("keras_tensorflow", "keras", "float32", "*/infinite-[rs]*", {"bce_with_logits", "sigmoid_focal"}),
    ("keras_torch", "keras", "float32", "*/infinite-wrong", {"sigmoid_focal"}),
    ("keras_jax", "keras", "float32", "*/infinite-wrong", {"sigmoid_focal"}),
    ("torchvision", "torchvision", "float32", "*/random-none-64", {"sigmoid_focal"}),
    ("open_clip", "open_clip", "float32", "*/generic-wide", {"clip", "siglip"}),
    ("sentence_transformers", "sentence_transformers", "float32", "*/tiny-norms", {"info_nce"}),
    ("lightly", "lightly", "float32", "*/tiny-norms", {"nt_xent"}),
    ("pytorch_metric_learning", "pytorch_metric_learning", "float32", "*/generic-alone", {"supcon"}),
    ("optax", "optax", "float32", "huber/delta-large", {"huber"}),
    ("keras_rs", "keras_rs", "float32", "*/infinite-score", {"pairwise_hinge", "bpr"}),
    ("recbole", "torch", "float32", "bpr/generic-large", {"bpr"}),
    ("liger", "liger_kernel", "float32", "*/generic-warm", {"distill_kl"}),
)  # fmt: skip
"""Module, its library, a dtype, and cases of which each loss fails some without its declaration."""


def held_both(folder, module, dtype, cases, losses, changed=""):
    source = BOTH.format(module=module, losses=losses, changed=changed)
    return held(source, folder, "--dtype", dtype, "--case", cases)[1].cells


def verdicts(cells, kind, loss):
    return {cell.verdict for cell in cells if cell.impl.startswith(kind) and cell.loss == loss}


@pytest.mark.parametrize(
    ("module", "library", "dtype", "cases", "losses"), DECLARED, ids=[f"{row[0]}-{row[3]}" for row in DECLARED]
)
def test_what_a_peer_declares_is_needed_and_explains_it(tmp_path, module, library, dtype, cases, losses):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    cells = held_both(tmp_path, module, dtype, cases, losses)
    for loss in losses:
        assert "fail" in verdicts(cells, "bare", loss), loss
        assert "deviates" in verdicts(cells, "declared", loss), loss
        wrong = [cell for cell in cells if cell.impl.startswith("declared") and cell.verdict in ("fail", "error")]
        assert not wrong, wrong[:3]


WRONG = {
    "half of the slope": {"slope": "softplus(logits)/2 - target*logits"},
    "another formula": {"formula": "(1 - target)*logits + softplus(-logits) + 0.001"},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_peer_is_held_to_the_formula_and_the_slope_that_it_declares(tmp_path, wrong):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    changed = f"**{WRONG[wrong]}"
    cells = held_both(tmp_path, "torch_nn", "float32", "*/generic-smoothed", {"bce_with_logits"}, changed)
    failed = {cell.check for cell in cells if cell.impl.startswith("declared") and cell.verdict == "fail"}
    assert failed == ({"gradient"} if "slope" in wrong else {"value", "gradient"})


def test_a_mean_is_declared_by_what_it_divides_by():
    loss = losses()["supcon"]
    found = held_to(Deviation("of the paired", mean="sum(loss, B)/sum(where(paired, 1, 0), B)"), loss)
    assert all(gradients.formula.divisor is not None for gradients in found.formulas.values())
    assert all(gradients.formula.divisor is None for gradients in loss.formulas.values())


def test_guards_of_losses_of_pairs_keep_their_axes():
    found = held_to(Deviation("each norm", guard={"per norm": 1e-12}), losses()["info_nce"])
    assert found.coupled
    assert next(iter(found.formulas.values())).formula.again == {"J"}


def test_a_declared_accumulator_is_that_of_sixteen_bits_and_not_over_the_batch():
    own = Deviation("in the dtype", accumulate="dtype")
    assert counted(own, BFLOAT16) == inside(BFLOAT16) != BFLOAT16 == counted(None, BFLOAT16)
    assert [counted(own, dtype).a for dtype in (FLOAT64, FLOAT32)] == [FLOAT64.a, FLOAT32.a]
    assert accumulator_of(inside(FLOAT16)).p == FLOAT16.p
    assert over_batch(inside(FLOAT16)) == FLOAT16
    with pytest.raises(ValueError, match="accumulate must be"):
        Deviation("because", accumulate="float32")


@pytest.mark.parametrize(
    ("loss", "fields", "words"),
    [
        ("cross_entropy", {"formula": "log_summ"}, "unknown name"),
        ("cross_entropy", {"formula": "logits"}, "must be a scalar"),
        ("cross_entropy", {"formula": ("hard", "hard +")}, "cannot be read"),
        ("supcon", {"mean": "sum(loss, B)"}, "cannot be read"),
        ("info_nce", {"slope": "lse(s, J)"}, "the examples of info_nce see each other"),
        ("soft_cross_entropy", {"slope": "lse(x, C)"}, "unknown name"),
    ],
)
def test_what_cannot_be_read_of_a_declaration_is_refused(loss, fields, words):
    assert words in complaint(Deviation("because", **fields), losses()[loss])
