"""Laws hold or are refused; random search finds what no golden case shows, makes it small, and it can be promoted."""

import json
import shutil
import warnings

import numpy as np
import pytest

from lossmark.rooms import room
from lossmark.specification import assemble
from lossmark.specification.library import losses
from tests.miniatures import HEAD
from tests.processes import lossmark
from tests.test_conformance import held

SPECS = room("specs")
GUEST = (
    HEAD.format(framework="numpy")
    + """
@impl.loss
def contrastive(d, y, *, margin=1.0, reduction="mean"):
    floating(d)
    if y.shape != d.shape: raise ValueError("shapes")
    w = np.float64 if d.dtype == np.float64 else np.float32
    y, x = y.astype(w), d.astype(w)
    l = y * x**2 + (1 - y) * np.maximum(w(margin) - x, 0) ** 2
    return np.asarray(reduced(np.where({wrong}, l + 1, l), reduction)).astype(d.dtype)
"""
)
SEARCH = ("--dtype", "float64", "--case", "contrastive/sum-of-31")


def test_every_loss_declares_laws_of_each_kind_that_it_obeys():
    laws = {loss.id: {law.id for law in loss.laws} for loss in losses().values()}
    assert [name for name, found in laws.items() if not found] == ["cross_entropy_z"]  # the square sees any offset
    for law in ("translation", "sign", "homogeneity", "margin"):
        assert sum(law in found for found in laws.values()) >= 3
    assert "swap" in laws["contrastive_pair"] & laws["labeled_triplet"]


def test_a_law_that_the_formula_does_not_obey_is_a_finding(tmp_path):
    text = (SPECS / "contrastive.yaml").read_text().replace('becomes: "4*loss"', 'becomes: "2*loss"')
    (tmp_path / "contrastive.yaml").write_text(text)
    done = lossmark("certify", "--check", "--specs", tmp_path, cwd=tmp_path)
    assert done.returncode == 1
    assert "does not hold for contrastive/" in done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('d: "2*d"', 'e: "2*d"'),
        ('d: "2*d"', 'd: "2*e"'),
        ('d: "2*d"', "d: \"open('x')\""),
        ('becomes: "4*loss"', 'becomes: "4*d"'),
        ("id: homogeneity", "id: margin"),
    ],
)
def test_a_law_about_nothing_is_refused(old, new, tmp_path):
    text = (SPECS / "contrastive.yaml").read_text()
    assert old in text
    (tmp_path / "contrastive.yaml").write_text(text.replace(old, new))
    done = lossmark("certify", "--check", "--specs", tmp_path, cwd=tmp_path)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1


def test_a_law_does_not_speak_of_what_is_no_number():
    """1/pos_weight of a weight of 0, without a warning of the division."""
    loss = losses()["bce_with_logits"]
    (sign,) = (law for law in loss.laws if law.id == "sign")
    case = loss.case("bce_with_logits/weight-zero")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sign.changed(case, loss.params(case.params), np.zeros(1)) is None


@pytest.mark.parametrize("wrong", ["x > 1.75", "(x * 8 % 1 != 0) & (y == 1)", "margin == 2"])
def test_a_defect_is_found_made_small_and_promoted(wrong, tmp_path):
    done, results = held(GUEST.format(wrong=wrong), tmp_path, *SEARCH)
    found = next(cell for cell in results.cells if cell.check == "properties")
    assert found.verdict == "fail", found
    assert done.returncode == 1
    path = next((tmp_path / ".lossmark" / "counterexamples").glob("*.json"))
    assert str(path.relative_to(tmp_path)) in found.detail
    numbers = [float.fromhex(x) for x in json.loads(path.read_text())["inputs"]["d"]]
    assert np.count_nonzero(numbers) <= 1, "one example is wrong at a time"

    specs = shutil.copytree(SPECS, tmp_path / "specs")
    options = ("--id", "contrastive/found-at-random", "--why", "a defect found by the properties", "--specs", specs)
    assert lossmark("promote", path, *options, cwd=tmp_path).returncode == 0
    assert lossmark("certify", "--check", "--specs", specs, cwd=tmp_path).returncode == 0
    case = assemble.load(specs / "contrastive.yaml").case("contrastive/found-at-random")
    assert case is not None
    assert case.inputs["d"].tolist() == numbers
    assert lossmark("promote", path, *options, cwd=tmp_path).returncode == 3, "an id is never used twice"


def test_a_right_guest_has_no_counterexample(tmp_path):
    _, results = held(GUEST.format(wrong="False"), tmp_path, *SEARCH)
    assert {cell.verdict for cell in results.cells if cell.check == "properties"} == {"pass"}
    assert not (tmp_path / ".lossmark").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"loss": "nosuch", "params": {}, "inputs": {}}'])
def test_only_counterexamples_are_promoted(text, tmp_path):
    path = tmp_path / "some.json"
    path.write_text(text)
    done = lossmark("promote", path, "--id", "bpr/x", "--why", "x", cwd=tmp_path)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
