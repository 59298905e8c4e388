"""Known failures and declared deviations: each way of not holding fails with words of its own."""

import json
from dataclasses import replace

import pytest

from lossmark import Deviation
from lossmark.errors import SpecError
from lossmark.results.cell import Cell
from lossmark.specification.deviated import complaint
from lossmark.specification.library import losses
from lossmark.suite import known_failures as expectations
from tests.test_conformance import conformance, held

FAILED = Cell("mini", "torch", "cpu", "float32", "eager", "bpr", "bpr/worked", "value", "fail", 50.0, 9.0, "off")
PASSED = replace(FAILED, verdict="pass", error_ulp=0.5)
ALL = {"loss": (["bpr"], ["bpr", "contrastive"])}


def entry(tmp_path, **keys):
    path = tmp_path / "expected.yaml"
    path.write_text(json.dumps([{"reason": "known", **keys}]) + "\n")
    return expectations.read(path)


def complaints(entries, *cells):
    applied = [expectations.apply(cell, entries).record() for cell in cells]
    explained = expectations.Explained(entries)
    explained.see(applied)
    return " ".join(sight.complaint for sight in explained.sights(lambda: ALL))


def test_a_known_failure_deviates_and_keeps_its_detail(tmp_path):
    entries = entry(tmp_path, impl="mini", ulp=[10, 100])
    cell = expectations.apply(FAILED, entries)
    assert (cell.verdict, cell.detail) == ("deviates", "expected: known | off")
    assert not complaints(entries, FAILED, PASSED)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"ulp": [1, 10]}, "worse than expected"),
        ({"ulp": [100, 200]}, "better than expected"),
        ({"until": "2020-02-29"}, "expired on 2020-02-29"),
    ],
)
def test_a_failure_outside_what_is_expected_stays_one(tmp_path, keys, words):
    cell = expectations.apply(FAILED, entry(tmp_path, **keys))
    assert cell.verdict == "fail"
    assert words in cell.detail


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "no longer needed"),
        ({"case": "bpr/wrkd"}, "matches no cell"),
        ({"impl": "other"}, "matches no cell"),
        ({"until": "2020-02-29"}, "expired on 2020-02-29"),
    ],
)
def test_an_entry_that_explains_nothing_is_complained_of(tmp_path, keys, words):
    assert words in complaints(entry(tmp_path, **keys), PASSED)


def test_what_the_options_leave_out_is_no_complaint(tmp_path):
    assert not complaints(entry(tmp_path, loss="contrastive"), PASSED)
    assert "matches no cell" in complaints(entry(tmp_path, loss="contrstve"), PASSED)


def test_the_first_entry_that_explains_wins(tmp_path):
    path = tmp_path / "expected.yaml"
    path.write_text('- {reason: narrow, ulp: [1, 2]}\n- {reason: wide, ulp: [1, "1e9"]}\n')
    entries = expectations.read(path)
    assert expectations.apply(FAILED, entries).verdict == "deviates"
    assert "narrow" in complaints(entries, FAILED)


@pytest.mark.parametrize(
    "text",
    ["a: 1\n", "- reason\n", "- {impl: x}\n", "- {reason: ' '}\n", "- {reason: x, ulps: [0, 1]}\n",
     "- {reason: x, ulp: [3, 1]}\n", "- {reason: x, ulp: [-1, 1]}\n", "- {reason: x, ulp: 3}\n",
     "- {reason: x, until: '2026-13-01'}\n", "- {reason: x, impl: 3}\n"],
)  # fmt: skip
def test_a_malformed_file_is_refused_with_its_place(tmp_path, text):
    path = tmp_path / "expected.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"expected\.yaml:1"):
        expectations.read(path)


@pytest.mark.parametrize(
    "fields",
    [{"why": " "}, {"scale": 0}, {"scale": float("nan")}, {"ulp": (2, 1)}, {"ulp": (1,)}, {"until": "soon"},
     {"guard": {"added": 0}}, {"guard": {"added": 1, "product": 1}}, {"epsilon": {"root": -1}}, {"clip": {"d": (1, 1)}},
     {"clip": {"d": 1}}],
)  # fmt: skip
def test_a_deviation_that_cannot_be_is_refused(fields):
    with pytest.raises(ValueError):  # noqa: PT011 (each has its own message)
        Deviation(**{"why": "because", **fields})


MINI = """
import numpy as np
from lossmark import Deviation, Implementation
impl = Implementation("mini", framework="numpy")
@impl.loss("contrastive", deviates=Deviation({declared}))
def contrastive(d, y, *, {margin}reduction="mean"):
    if y.shape != d.shape or "float" not in str(d.dtype): raise ValueError("shapes, or dtypes")
    w = np.float64 if d.dtype == np.float64 else np.float32
    y, x = y.astype(w), d.astype(w)
    l = {loss}
    return np.asarray(l if reduction == "none" else l.sum() if reduction == "sum" else l.mean()).astype(d.dtype)
"""
FLIPPED = "(1 - y) * x**2 + y * np.maximum(w(margin) - x, 0) ** 2"
LOSS = "y * x**2 + (1 - y) * np.maximum(w(margin) - x, 0) ** 2"


@pytest.mark.parametrize(
    ("declared", "loss"),
    [
        ("'labels of dissimilarity', flips='y'", FLIPPED),
        ("'no margin', fixed={'margin': 0.5}", LOSS.replace("w(margin)", "w(0.5)")),
        ("'minus a third', scale=-1/3", f"({LOSS}) * w(-1/3)"),
        ("'minus a half and flipped', scale=-0.5, flips=['y']", f"-0.5 * ({FLIPPED})"),
    ],
)  # fmt: skip
def test_an_implementation_is_held_to_what_it_declares(tmp_path, declared, loss):
    takes = "" if "fixed" in declared else "margin=1.0, "
    done, results = held(MINI.format(declared=declared, loss=loss, margin=takes), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    assert results.counts["deviates"] > 50


@pytest.mark.parametrize(
    ("declared", "loss", "words"),
    [
        ("'half', scale=0.5", LOSS, "off by"),
        ("'flipped', flips='y'", LOSS, "off by"),
        ("'half', scale=0.5, until='2024-01-01'", f"({LOSS})/2", "expired on 2024-01-01"),
        ("'a little off', ulp=(1, 8)", f"({LOSS})*w(1.001)", "worse than expected"),
        ("'off', ulp=(1, 8)", LOSS, "no longer needed"),
        ("'half', flips='d'", LOSS, "the labels of contrastive are ['y']"),
        ("'half', fixed={'similarity': 'dot'}", LOSS, "the parameters of contrastive are ['margin']"),
    ],
)
def test_a_declaration_that_does_not_hold_fails(tmp_path, declared, loss, words):
    path = tmp_path / "mini.py"
    path.write_text(MINI.format(declared=declared, loss=loss, margin="margin=1.0, "))
    done = conformance("--impl", str(path), "--dtype", "float64", "--case", "contrastive/generic*", cwd=tmp_path)
    assert done.returncode in (1, 3), done.stdout[-2000:]
    assert words in done.stdout + done.stderr


OF_TORCH = """
import torch
from torch.nn import functional as F
from lossmark import Deviation, Implementation
impl = Implementation("mini", framework="torch")
def reduced(l, like, reduction):
    return (l if reduction == "none" else l.sum() if reduction == "sum" else l.mean()).to(like.dtype)
@impl.loss("bpr", deviates=Deviation("its own", {guard}))
def bpr(u, d_pos, d_neg, *, similarity="dot", reduction="mean"):
    sim = F.cosine_similarity if similarity == "cosine" else lambda x, y: (x * y).sum(-1)
    return reduced(-F.logsigmoid(sim(u, d_pos) - sim(u, d_neg)), u, reduction)
@impl.loss("contrastive_pair", deviates=Deviation("its own", {epsilon}))
def contrastive_pair(x1, x2, y, *, margin=1.0, reduction="mean"):
    d = {distance}
    y = y.to(d.dtype)
    return reduced(y * d**2 + (1 - y) * torch.relu(margin - d) ** 2, x1, reduction)
"""
DISTANCE = "F.pairwise_distance(x1, x2)"
ROOT = "torch.sqrt(((x1 - x2) ** 2).sum(-1) + 1e-6)"


def of_torch(
    tmp_path, case, *, guard="guard={'per norm': 1e-8}", epsilon="epsilon={'difference': 1e-6}", distance=DISTANCE
):
    """A run of cosine_similarity and of a distance under what they declare."""
    source = OF_TORCH.format(guard=guard, epsilon=epsilon, distance=distance)
    return held(source, tmp_path, "--dtype", "float32", "--case", case)


@pytest.mark.parametrize(
    ("case", "declared"),
    [
        ("bpr/cosine-[gtz]*", {}),
        ("contrastive_pair/zero-distance", {}),
        ("contrastive_pair/zero-distance", {"epsilon": "epsilon={'root': 1e-6}", "distance": ROOT}),
        ("contrastive_pair/generic*", {"epsilon": "epsilon={'root': 1e-6}, clip={'d': (-float('inf'), 0.75)}",
                                       "distance": f"torch.clamp({ROOT}, max=0.75)"}),
    ],
)  # fmt: skip
def test_an_implementation_is_held_to_the_formula_that_it_declares(tmp_path, case, declared):
    _, results = of_torch(tmp_path, case, **declared)
    judged = [cell for cell in results.cells if cell.check in ("value", "gradient")]
    assert {cell.verdict for cell in judged} <= {"deviates", "not-run"}, [cell.detail for cell in judged]
    assert any(cell.verdict == "deviates" for cell in judged)


@pytest.mark.parametrize(
    ("case", "declared"),
    [
        ("bpr/cosine-zero-vector", {"guard": "guard={'per norm': 1e-4}"}),
        ("bpr/cosine-zero-vector", {"guard": "guard={'product': 1e-8}"}),
        ("bpr/cosine-zero-vector", {"guard": "guard={'added': 1e-8}"}),
        ("contrastive_pair/zero-distance", {"epsilon": "epsilon={'root': 1e-6}"}),
        ("contrastive_pair/zero-distance", {"epsilon": "epsilon={'difference': 1e-5}"}),
        ("contrastive_pair/generic*", {"epsilon": "clip={'d': (0, 0.75)}"}),
    ],
)
def test_an_implementation_of_another_formula_than_it_declares_fails(tmp_path, case, declared):
    done, results = of_torch(tmp_path, case, **declared)
    assert done.returncode == 1, done.stdout[-2000:]
    assert results.counts["fail"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"guard": {"each": 1e-8}}, "guard names 'each', it may be ['added', 'per norm', 'product']"),
        ({"epsilon": {"sum": 1e-8}}, "epsilon names 'sum', it may be ['difference', 'root']"),
        ({"guard": {"added": 1e-8}}, "the formula of contrastive_pair has no dot, norm, max"),
        ({"clip": {"s_pos": (0, 1)}}, "the terms of contrastive_pair are ['d', 'x1', 'x2', 'y']"),
    ],
)
def test_a_change_of_a_formula_that_the_loss_does_not_have_is_refused(fields, words):
    assert words in complaint(Deviation("because", **fields), losses()["contrastive_pair"])
