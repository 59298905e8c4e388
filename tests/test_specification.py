"""What a spec says of its loss is read from it: hosts, curves, ranges, choices, edges. The engine knows no loss."""

import ast
from pathlib import Path

import pytest

from lossmark.errors import SpecError
from lossmark.formula.grammar import Parser
from lossmark.formula.tree import Builder
from lossmark.rooms import room
from lossmark.specification.assemble import assemble
from lossmark.specification.document import parse
from lossmark.specification.edges import edges
from lossmark.specification.library import losses, read_all

ENGINE = Path(__file__).parents[1] / "src" / "lossmark"
SPECS = room("specs")
BPR, HINGE, CONTRASTIVE = ((SPECS / f"{name}.yaml").read_text() for name in ("bpr", "pairwise_hinge", "contrastive"))
EDGES = (SPECS / "edges.yaml").read_text()


def _changed(text, old, new):
    assert old in text
    return text.replace(old, new)


def _texts(tree):
    """The texts of a module, docstrings left out."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs)
    return [node.value for node in nodes if isinstance(node.value, str)]


def test_the_engine_knows_no_loss():
    """Neither its id, nor the names of its arguments: examples stand in docstrings.

    A deviation has had an option ``clip``, the range of a term, before there was a loss of that name.
    """
    words = set(losses()) | {"d_pos", "d_neg", "margin", "similarity", "cosine"}
    found = {
        str(path.relative_to(ENGINE)): words & set(_texts(ast.parse(path.read_text(encoding="utf-8"))))
        for path in ENGINE.rglob("*.py")
    }
    assert {name: texts for name, texts in found.items() if texts} == {
        "formula/defined.py": {"similarity", "cosine"},
        "adapters/deviation.py": {"clip"},
    }


def test_every_spec_names_the_host_that_the_checks_are_made_on():
    for loss in losses().values():
        assert [case.id for case in loss.cases if case.golden.host] == [loss.host.id]


@pytest.mark.parametrize("name", losses())
def test_a_host_that_no_spec_names_is_chosen_alike(name):
    text = _changed((SPECS / f"{name}.yaml").read_text(), "    host: true\n", "")
    assert assemble(parse(text)).host.id == losses()[name].host.id


def test_every_spec_says_kinds_and_a_curve():
    for loss in losses().values():
        assert all(spec.kind for spec in loss.model.inputs.values())
        assert {name for name, spec in loss.model.inputs.items() if spec.kind in ("label", "probability", "index")} == {
            item.name for item in loss.inputs if item.label
        }
        alone = loss.coupled or any("C" in item.dims for item in loss.inputs)  # one class, or pair, has no curve
        assert (loss.model.curve is None) == alone


def test_what_a_spec_may_leave_out_it_can_do_without():
    """Specs of other people have neither kinds nor ranges, hosts, or curves."""
    text = HINGE
    for old in (', at_least: "0x0p+0"', "kind: embedding, ", "    host: true\n"):
        text = _changed(text, old, "")
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith("curve:")]
    loss = assemble(parse("".join(lines)))
    assert [case.id for case in loss.cases] == [case.id for case in losses()["pairwise_hinge"].cases]
    assert set(loss.formulas) == {("dot",), ("cosine",)}


@pytest.mark.parametrize(
    ("term", "widens"),
    [
        ("sum(u * d_neg, D)", True),
        ("sum(relu(u) * d_neg - abs(u), D)", True),
        ("sum(exp(u * d_neg), D)", False),
        ("sum(u * d_neg + margin, D)", False),
        ("lse(u * d_neg, D)", False),
        ("sum(u / d_neg, D)", False),
    ],
)
def test_golden_cases_are_widened_by_zero_columns_only_where_these_change_nothing(term, widens):
    loss = assemble(parse(_changed(HINGE, 's_neg: "sim(u, d_neg)"', f's_neg: "{term}"')))
    assert loss.widens is widens
    assert all(widens or large.shape[1] == part.width for large in loss.embedded for part in large.parts)


def test_similarity_is_what_its_definition_says_in_the_formula_language():
    build = Builder()
    names = {name: build("input", payload=name, dims=("B", "D")) for name in ("u", "v")}
    for choice, text in (("dot", "dot(u, v)"), ("cosine", "dot(u, v)/max(norm(u)*norm(v), 1e-8)")):
        place = parse("a: 1\n").place(())
        assert Parser(build, names, {"similarity": choice}).parse("sim(u, v)", place) is Parser(build, names, {}).parse(
            text, place
        )


def test_formulas_are_keyed_by_the_choices_of_any_parameter():
    text = _changed(
        BPR, "choices: [dot, cosine]}\n", "choices: [dot, cosine]}\n  side: {default: left, choices: [left, right]}\n"
    )
    text = _changed(text, "when: {similarity: dot}}\ngradient_of", "when: {similarity: dot, side: right}}\ngradient_of")
    loss = assemble(parse(text))
    assert list(loss.formulas) == [("dot", "left"), ("dot", "right"), ("cosine", "left"), ("cosine", "right")]
    counts = {chosen: len(found.formula.associations) for chosen, found in loss.formulas.items()}
    assert counts == {("dot", "left"): 0, ("dot", "right"): 1, ("cosine", "left"): 0, ("cosine", "right"): 0}
    assert loss.gradients({"side": "right"}) is loss.formulas["dot", "right"]


@pytest.mark.parametrize(
    ("text", "old", "new", "key"),
    [
        (CONTRASTIVE, 'default: "0x1p+0", at_least', 'default: "-0x1p+0", at_least', "params.margin.default"),
        (CONTRASTIVE, 'params: {margin: "0x1p+1"}', 'params: {margin: "-0x1p+1"}', "params.margin"),
        (CONTRASTIVE, "kind: distance", "kind: length", "inputs.d.kind"),
        (BPR, "default: dot, choices", "default: sum, choices", "params.similarity.default"),
        (BPR, "choices: [dot, cosine]", "choices: [dot, manhattan]", "params.similarity.choices"),
        (BPR, "choices: [dot, cosine]", "choices: []", "params.similarity.choices"),
        (BPR, "when: {similarity: dot}}\ngradient_of", "when: {similarly: dot}}\ngradient_of", "when.similarly"),
        (BPR, "along: d_neg", "along: neg", "curve.along"),
        (BPR, 'ends: ["-0x1p+2"', 'ends: ["0x1p+3"', "curve.ends"),
        (BPR, 'fixed: {u: "0x1p+0", d_pos: "0x0p+0"}', 'fixed: {u: "0x1p+0"}', "curve.fixed"),
        (BPR, '    why: "Scores are exact', '    dtypes: [float64]\n    why: "Scores are exact', "host"),
    ],
)
def test_what_a_spec_says_wrongly_is_refused_with_its_key(text, old, new, key):
    with pytest.raises(SpecError) as refusal:
        assemble(parse(_changed(text, old, new)))
    assert key in str(refusal.value)


def test_there_is_one_host():
    text = _changed(BPR, "    host: true\n", "")
    text = text.replace("    inputs:", "    host: true\n    inputs:")
    with pytest.raises(SpecError, match=r"cases\.1\.host: a second host"):
        assemble(parse(text))


def test_a_parameter_without_a_range_may_be_any_finite_number():
    text = _changed(CONTRASTIVE, ', at_least: "0x0p+0"', "").replace(
        'params: {margin: "0x1p+1"}', 'params: {margin: "-0x1p+1"}', 1
    )
    assert any(case.params.get("margin") == -2.0 for case in assemble(parse(text)).cases)


@pytest.mark.parametrize(
    ("edge", "some", "not_these"),
    [
        ("zero-distance", {"contrastive", "contrastive_pair", "labeled_triplet"}, {"bpr", "pairwise_hinge"}),
        ("kink", {"contrastive", "contrastive_pair", "pairwise_hinge"}, {"bpr", "bce_with_logits"}),
        ("tie", {"bpr", "bce_with_logits"}, {"contrastive", "labeled_triplet"}),
        ("zero-vector", {"bpr", "pairwise_hinge"}, {"contrastive_pair", "bce_with_logits"}),
        ("large-score", {"bpr", "pairwise_hinge", "bce_with_logits"}, {"contrastive"}),
        ("soft-label", {"contrastive", "contrastive_pair", "bce_with_logits"}, {"bpr", "labeled_triplet"}),
        ("weight", {"bce_with_logits"}, {"bpr", "contrastive"}),
        ("partial", {"bpr", "contrastive_pair"}, {"contrastive", "bce_with_logits"}),
    ],
)
def test_edges_concern_losses_by_what_specs_say(edge, some, not_these):
    (found,) = (item for item in edges() if item.id == edge)
    concerned = {loss.id for loss in losses().values() if found.concerns(loss)}
    assert some <= concerned
    assert not not_these & concerned


def test_an_edge_that_names_nothing_concerns_every_loss():
    (overflow,) = (edge for edge in edges() if edge.id == "overflow")
    assert all(overflow.concerns(loss) for loss in losses().values())


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("flags: [Tie]", "flag: [Tie]", "edges.1"),
        ("flags: [Tie], ", "", "edges.1: expected either flags or check"),
        ("id: tie,", "id: kink,", "edges.1.id: duplicate id"),
        ("operations: [softplus, lse, joint_lse]", "operations: [softmax9]", "edges.1.concerns.operations.0"),
        ("kinds: [distance]", "kinds: [distances]", "edges.2.concerns.kinds"),
        ("id: tie,", "id: [tie],", "edges.1.id"),
        ("edges:\n", "edgs:\n", "edg"),
    ],
)
def test_broken_edges_are_refused_in_one_line(old, new, key, tmp_path):
    path = tmp_path / "edges.yaml"
    path.write_text(_changed(EDGES, old, new))
    with pytest.raises(SpecError) as refusal:
        edges(tmp_path)
    line = str(refusal.value)
    assert line.startswith(f"{path}:")
    assert key in line
    assert len(line.splitlines()) == 1
    assert read_all(tmp_path) == ([], [line])


def test_edges_are_no_loss(tmp_path):
    (tmp_path / "edges.yaml").write_text(EDGES)
    (tmp_path / "bpr.yaml").write_text(BPR)
    assert list(losses(tmp_path)) == ["bpr"]
    assert len(edges(tmp_path)) == len(edges())
    assert "edges" not in losses()
