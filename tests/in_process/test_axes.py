"""Somebody else's losses with a learned number, masks and vectors of each example, held in NumPy and PyTorch."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from lossmark.testing import NonConforming, assert_conforms, bound
from tests.axes import in_numpy, in_torch
from tests.in_process.test_conforms import checks

SPECS = Path(__file__).parents[1] / "axes"


@pytest.fixture(autouse=True)
def own_specs(monkeypatch):
    """The specs of the folder in the place of lossmark's own."""
    monkeypatch.setattr("lossmark.specification.library.room", lambda name: SPECS)


def told(made):
    """For each check "passed", "skipped", or what its failure says."""
    found = {}
    for check in made:
        try:
            check()
            found[check] = "passed"
        except NonConforming as error:
            found[check] = str(error)
        except pytest.skip.Exception:
            found[check] = "skipped"
    return found


@pytest.mark.parametrize("subject", [in_numpy.right, in_torch.right], ids=lambda subject: subject.name)
@pytest.mark.parametrize("loss", ["scaled_cross_entropy", "listwise_softmax", "infonce_negatives"])
def test_right_ones_pass_every_check(subject, loss):
    dtypes = () if subject is in_numpy.right else ("float32", "bfloat16")
    found = told(checks(subject, loss, dtypes=dtypes))
    assert {check: text for check, text in found.items() if text not in ("passed", "skipped")} == {}
    skipped = {check.name for check, text in found.items() if text == "skipped"}
    assert skipped <= {"curvature"}, "whose bound exceeds a quarter of the value"
    assert len(found) > 40


WRONG = {
    "the scale's gradient averaged": (in_numpy.averaged, "scaled_cross_entropy"),
    "the scale's gradient of the last example": (in_numpy.of_one, "scaled_cross_entropy"),
    "NaN of what is masked in the gradient": (in_numpy.leaking, "listwise_softmax"),
    "what is masked in the softmax": (in_numpy.forgotten, "listwise_softmax"),
    "one example's negatives for all": (in_numpy.shared, "infonce_negatives"),
    "negatives without the positive": (in_numpy.unshared, "infonce_negatives"),
    "the scale's gradient averaged, in torch": (in_torch.wrong, "scaled_cross_entropy"),
    "NaN of what is masked in the gradient, in torch": (in_torch.wrong, "listwise_softmax"),
    "one example's negatives for all, in torch": (in_torch.wrong, "infonce_negatives"),
}
GRADIENT_ALONE = {"the scale's gradient averaged", "NaN of what is masked in the gradient"}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_ones_fail(name):
    subject, loss = WRONG[name]
    made = [check for check in checks(subject, loss, dtypes="float32") if check.name in ("value", "gradient")]
    outcomes = told(made)
    found = Counter(check.name for check, text in outcomes.items() if text not in ("passed", "skipped"))
    assert found["gradient"] or found["value"], found
    if any(name.startswith(each) for each in GRADIENT_ALONE):
        assert found["gradient"]
        assert not found["value"]


def tensor(generator, *shape):
    return torch.tensor(generator.standard_normal(shape), dtype=torch.float32, requires_grad=True)


def test_a_learned_number_in_a_test_of_somebody_else():
    generator = np.random.default_rng(1)
    logits, scale = tensor(generator, 300, 5), torch.tensor(1.25, requires_grad=True)
    target = torch.tensor(generator.integers(0, 5, 300))
    value = in_torch.scaled_cross_entropy(logits, target, scale)
    value.backward()
    inputs = {"logits": logits, "target": target, "scale": scale}
    found = assert_conforms("scaled_cross_entropy", inputs, value, grads={"logits": logits.grad, "scale": scale.grad})
    assert found.judged == 1502
    with pytest.raises(NonConforming, match="gradient by scale"):
        assert_conforms("scaled_cross_entropy", inputs, value, grads={"logits": logits.grad, "scale": scale.grad / 300})
    with pytest.raises(ValueError, match=r"scale has shape \[1\], expected \[\]"):
        assert_conforms("scaled_cross_entropy", {**inputs, "scale": scale.reshape(1)}, value)


@pytest.mark.parametrize("leading", [(300,), (30, 10)])
def test_what_is_masked_holds_anything_in_a_test_of_somebody_else(leading):
    generator = np.random.default_rng(2)
    mask = torch.tensor(generator.integers(0, 2, (300, 7)))
    with torch.no_grad():
        scores, relevance = tensor(generator, 300, 7), torch.rand(300, 7)
        scores[mask == 0], relevance[mask == 0] = torch.nan, 5.0
    value = in_torch.listwise_softmax(scores, relevance, mask)
    value.backward()
    inputs = {"scores": scores, "relevance": relevance, "mask": mask.bool()}
    inputs = {name: x.reshape(*leading, 7) for name, x in inputs.items()}
    assert_conforms("listwise_softmax", inputs, value, grads={"scores": scores.grad.reshape(*leading, 7)})
    with pytest.raises(ValueError, match="relevance has the value"):
        assert_conforms("listwise_softmax", {**inputs, "relevance": inputs["relevance"] + 2}, value)


def test_vectors_of_each_example_in_a_test_of_somebody_else():
    generator = np.random.default_rng(3)
    shapes = {"query": (200, 8), "positive": (200, 8), "negatives": (200, 4, 8)}
    inputs = {name: tensor(generator, *shape) for name, shape in shapes.items()}
    value = in_torch.infonce_negatives(**inputs)
    value.backward()
    found = assert_conforms("infonce_negatives", inputs, value, grads={name: x.grad for name, x in inputs.items()})
    assert found.judged == 1 + sum(x.numel() for x in inputs.values())
    assert bound("infonce_negatives", inputs).grads["negatives"].bound.shape == (200, 4, 8)
    with pytest.raises(ValueError, match=r"negatives has shape \[200, 4, 4\], expected \[200, N, 8\]"):
        assert_conforms("infonce_negatives", {**inputs, "negatives": inputs["negatives"][:, :, :4]}, value)
