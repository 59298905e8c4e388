"""The crosswalk: mappings are found and wrong ones refused, and every kept row is whole and still so."""

import functools
import json

import pytest
from lossmark.reports.build import build

from lossmark.adapters.installed import framework, framework_version
from lossmark.crosswalk.expression import Expression
from lossmark.crosswalk.functions import PeerFunction, functions_of, peer_libraries
from lossmark.crosswalk.measure import again, row_of
from lossmark.crosswalk.rows import kept_rows
from lossmark.crosswalk.wording import matches, summary
from lossmark.errors import LossmarkError, SpecError
from tests.processes import lossmark
from tests.sites import cell, written

LIBRARIES = peer_libraries()
ROWS = kept_rows()
MARGINS = "torch.nn.functional.multi_margin_loss"
NLL = "torch.nn.functional.nll_loss(torch.log_softmax(logits, -1), target, weight, ignore_index=ignore_index)"
HUBER = "torch.nn.functional.huber_loss(x, t, delta=delta)"


@functools.cache
def found(spec, call, of="torch"):
    """The row of a call on PyTorch, or another framework."""
    if framework_version(of) is None:
        pytest.skip(f"{of} is not installed")
    return row_of(PeerFunction(of, "f", {spec: Expression(call)}), framework(of), "0")


KNOWN = (
    ("huber", HUBER, ()),
    ("huber", f"2 * {HUBER}", ("twice the loss",)),
    ("huber", HUBER.replace("delta=delta", "delta=delta, reduction='sum'"), ("summed over the batch",)),
    ("huber", "torch.nn.functional.smooth_l1_loss(x, t, beta=delta)", ("divided by delta",)),
    ("huber", "2 * torch.nn.functional.huber_loss(x, t, delta=0.5)", ("delta is 0.5", "twice the loss")),
    ("kl_div", "torch.nn.functional.kl_div(log_q, p)", ("divided by C (the classes)",)),
    ("contrastive", "(y * d**2 + (1 - y) * torch.relu(1 - d)**2).mean()", ()),
    ("contrastive", "((1 + y) / 2 * d**2 + (1 - y) / 2 * torch.relu(1 - d)**2).mean()", ("y as −1 and +1",)),
    ("contrastive", "((1 - y) * d**2 + y * torch.relu(margin - d)**2).mean()", ("0 and 1 of y exchanged",)),
    ("contrastive", "(y * d + (1 - y) * torch.relu(margin - d**0.5)**2).mean()", ("takes the square of d",)),
    ("contrastive", "torch.where(y > 0.5, d**2, torch.relu(margin - d)**2).mean()", ("y is 0 or 1, nothing between",)),
    ("pairwise_hinge", "torch.relu(margin + (u * d_pos - u * d_neg).sum(-1))", ("d_pos and d_neg change places",)),
    ("multi_margin", f"{MARGINS}(logits, target.argmax(1), margin=margin)", ("target as one-hot rows",)),
    ("cross_entropy", NLL, ()),
)  # fmt: skip
"""Spec, call, and the mapping that is the simplest."""


@pytest.mark.parametrize(
    ("spec", "call", "mapping"), KNOWN, ids=[f"{row[0]}-{number}" for number, row in enumerate(KNOWN)]
)
def test_the_simplest_mapping_is_found(spec, call, mapping):
    row = found(spec, call)
    assert row.mapping == mapping
    assert row.ordinary
    assert {each.without for each in row.needed} == set(mapping)


def test_what_normalises_its_arguments_says_so():
    pytest.importorskip("scipy")
    row = found("kl_div", "scipy.stats.entropy(p, log_q, axis=-1)", "numpy")
    assert row.mapping == ("takes exp(log_q)", "normalises log_q", "normalises p")
    assert row.ordinary
    assert {each.without for each in row.needed} == set(row.mapping)


TRUE = "numpy.take_along_axis(logits, target[:, None] * (target[:, None] >= 0), 1)[:, 0]"


def test_a_mapping_must_tell_what_normalises_from_what_does_not():
    """On rows that sum to 1 both are the same: such rows prove neither."""
    assert found("cross_entropy", f"-numpy.log({TRUE})", "numpy").relation == "different"
    normalising = found("cross_entropy", f"-numpy.log({TRUE} / logits.sum(1))", "numpy")
    assert normalising.mapping == ("takes exp(logits)",)
    assert normalising.ordinary


def test_what_is_refused_is_not_near():
    """Of one-hot rows this takes those of one class alone, where no margin is wrong: no reason to prefer them."""
    index = "target if target.ndim == 1 else torch._assert(logits.shape[1] == 1, 'an index') or target[:, 0].long() - 1"
    row = found("multi_margin", f"1.3 * {MARGINS}(logits, {index}, margin=margin)")
    assert row.relation == "different"
    assert "target as one-hot rows" not in row.mapping
    assert row.dtypes["float32"].values.refused == 0


@pytest.mark.parametrize(
    ("library", "function", "relation"),
    [
        ("torch", "torch.nn.functional.nll_loss (after log_softmax)", "same"),
        ("liger-kernel", "liger_kernel.chunked_loss.LigerFusedLinearJSDLoss (beta 0, soft part alone)", "same after"),
    ],
)
def test_no_function_is_accused_of_how_it_is_called(library, function, relation):
    """Log-probabilities are not free to move one by one, and a product with the identity makes NaN of an infinity."""
    (row,) = (row for row in ROWS if (row.library, row.function) == (library, function))
    assert row.relation == relation
    assert row.dtypes["float32"].gradients.failing == 0


WRONG = {
    "a constant more": f"{HUBER} + 0.01",
    "another slope beyond": "torch.where((x - t).abs() < delta, 0.5 * (x - t)**2, 2 * delta * (x - t).abs()).mean()",
    "the cosine of the error": "torch.cos(x - t).mean()",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_another_function_is_different_with_its_case(wrong):
    row = found("huber", WRONG[wrong])
    assert row.relation == "different"
    assert not row.ordinary
    proof = row.furthest or row.dtypes["float32"].values.proof
    assert proof.case.startswith("huber/")
    assert proof.got != proof.expected


def test_values_and_gradients_are_told_apart():
    row = found("huber", f"{HUBER}.detach() + 0 * x.nan_to_num(0, 0, 0).sum()")
    assert row.dtypes["float32"].values.relation == "same"
    assert row.dtypes["float32"].gradients.relation == "different"
    assert row.relation == "different"


def test_a_function_that_is_off_at_an_edge_alone_says_so():
    row = found("bpr", "torch.nn.functional.softplus((u * d_neg).sum(-1) - (u * d_pos).sum(-1))")
    assert row.relation == "same"  # in float32, where what is lost beyond 20 is below its rounding
    assert row.dtypes["float64"].values.relation == "different"
    assert row.dtypes["float64"].values.failing < 3


def test_of_two_specs_the_nearer_is_taken_and_the_other_has_a_case():
    calls = {"contrastive": "torch.nn.functional.huber_loss(d, y, delta=margin)", "huber": HUBER}
    function = PeerFunction("torch", "f", {spec: Expression(text) for spec, text in calls.items()})
    row = row_of(function, framework("torch"), "0")
    assert row.spec == "huber"
    assert row.others["contrastive"].startswith("contrastive/")


def test_defaults_that_are_not_the_specs_are_told():
    scores = "(u * d_pos).sum(-1), (u * d_neg).sum(-1), torch.ones_like(u[:, 0])"
    call = f"torch.nn.functional.margin_ranking_loss({scores}, margin=margin)"
    assert found("pairwise_hinge", call).defaults == {"margin": ("0", "1")}


def test_a_row_that_says_otherwise_is_not_proved():
    row, call, torch = found("huber", f"2 * {HUBER}"), Expression(f"2 * {HUBER}"), framework("torch")
    assert again(row, call, torch) == ""
    assert "same after is different" in again(row.model_copy(update={"mapping": ("half of the loss",)}), call, torch)
    assert "no transformation" in again(row.model_copy(update={"mapping": ("thrice",)}), call, torch)
    assert "the call is" in again(row, Expression(f"3 * {HUBER}"), torch)


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_the_kept_rows_are_many_and_whole():
    declared = {
        (function.library, function.name): function
        for key, each in LIBRARIES.items()
        for function in functions_of(key, each)
    }
    assert {(row.library, row.function) for row in ROWS} == set(declared)
    assert len(ROWS) == len(declared) >= 140
    assert len({LIBRARIES[row.library].distribution for row in ROWS}) >= 9
    for row in ROWS:
        assert declared[row.library, row.function].calls[row.spec].text == row.call
        here = row.dtypes[row.headline]
        relations = {part.relation for part in (here.values, here.gradients) if part is not None}
        assert (row.relation == "different") == ("different" in relations), row.function
        if row.relation == "same":
            assert not row.mapping
        if row.relation == "same after":
            assert row.mapping
        proofs = [part.proof for part in (here.values, here.gradients) if part is not None and part.failing]
        assert all(proofs), row.function


SOME = (
    "torch.nn.functional.kl_div", "torch.nn.functional.smooth_l1_loss", "torch.nn.functional.triplet_margin_loss",
    "scipy.special.rel_entr", "scipy.special.kl_div", "optax.losses.hinge_loss", "tf.nn.softplus",
)  # fmt: skip


@pytest.mark.parametrize("row", [row for row in ROWS if row.function in SOME], ids=lambda row: row.function)
def test_a_kept_row_is_proved_again(row):
    library = LIBRARIES[row.library]
    if library.version != row.version:
        pytest.skip(f"{row.library} is {library.version or 'not installed'}, not {row.version}")
    function = next(each for each in functions_of(row.library, library) if each.name == row.function)
    assert again(row, function.calls[row.spec], framework(library.framework)) == ""


def test_words_find_what_is_called_so():
    triplets = {row.function for row in ROWS if matches(row, "triplet loss")}
    assert "torch.nn.functional.triplet_margin_loss" in triplets
    assert "sentence_transformers.losses.TripletLoss" in triplets
    assert "torch.nn.functional.kl_div" not in triplets
    assert all(summary(row).startswith(row.relation) for row in ROWS)


def test_the_command_line(tmp_path):
    done = lossmark("crosswalk", "triplet", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert rows
    assert {"library", "function", "spec", "relation", "mapping", "dtypes"} <= set(rows[0])
    for options in (("--loss", "nothing"), ("--library", "nothing")):
        assert lossmark("crosswalk", *options, cwd=tmp_path).returncode == 3
    done = lossmark("crosswalk", "--check", "--library", "scipy", "huber", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "proved again" in done.stdout


def test_a_file_that_is_not_whole_is_refused_with_its_place(tmp_path):
    path = tmp_path / "crosswalk.yaml"
    path.write_text("x: {library: x}\n", encoding="utf-8")
    with pytest.raises(SpecError, match=r"crosswalk.yaml"):
        kept_rows(path)
    path.write_text("x: {distribution: x, framework: torch, functions: {f: {no_loss: f(x)}}}\n", encoding="utf-8")
    with pytest.raises(LossmarkError, match="unknown loss"):
        peer_libraries(path)
    for text, words in (("", "give functions, or another library"), ("same_as: y", "unknown library 'y'")):
        path.write_text(f"x: {{distribution: x, framework: torch, {text}}}\n", encoding="utf-8")
        with pytest.raises(LossmarkError, match=words):
            peer_libraries(path)


def test_what_is_no_expression_is_refused():
    with pytest.raises(LossmarkError, match="no Python expression"):
        Expression("f(x")
    assert Expression("a.b(x, [c for c in y], key=lambda z: z + len(x))").names == {"a", "x", "y"}


def test_the_report_has_its_page(tmp_path):
    site = build([written(tmp_path / "results.jsonl", [cell(0)])], tmp_path / "site").parent
    text = (site / "crosswalk.html").read_text(encoding="utf-8")
    assert text.count("<tr data-words=") == len(ROWS)
    assert 'href="crosswalk.html"' in (site / "index.html").read_text(encoding="utf-8")
    assert all(f"<code>{row.function}</code>" in text for row in ROWS)
