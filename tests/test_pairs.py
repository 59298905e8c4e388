"""Formulas of pairs, classes and masks, read from specs of their own and held against torch's automatic derivative."""

import numpy as np
import pytest
import torch
from flint import ctx

from lossmark.dtypes import DTYPES, FLOAT64
from lossmark.errors import SpecError
from lossmark.golden import certified
from lossmark.readings.convention import IEEE
from lossmark.readings.rounding import two_doubles
from lossmark.specification.assemble import assemble
from lossmark.specification.document import parse
from lossmark.specification.inputs import draw
from lossmark.tolerance.expected import expected

HEAD = """
lossmark: 1
loss: pairs
title: a test
since: "1.0"
source: {{document: none, section: "1"}}
summary: a test
axes: {{J: B}}
inputs:
  x: {{dims: [B, D], kind: embedding, meaning: x}}
  z: {{dims: [J, D], kind: embedding, meaning: z}}
{more}
formula: {{where: {{s: "dot(x, z)"}}, loss: "{loss}"}}
gradient_of: [x, z]
families:
  - {{id: pairs/random, seed: 1, shape: {{B: 6, D: 3}}, distribution: normal, scale: "0x1p-1"}}
cases: []
"""
LABEL = "  label: {dims: B, label: class, meaning: the class}"
EYE = torch.eye(6, dtype=torch.bool)


def spec(loss, more=LABEL):
    used = more if more != LABEL or "label" in loss else ""
    return assemble(parse(HEAD.format(more=used, loss=loss)))


def symmetric(x, z, label):
    s = x @ z.T
    own = s.diagonal()
    return 0.5 * (torch.logsumexp(s, 1) - own) + 0.5 * (torch.logsumexp(s, 0) - own)


def same_class(x, z, label):
    s = x @ x.T + 0 * z.sum()
    same = (label[:, None] == label[None]) & ~EYE
    lse = torch.logsumexp(s.masked_fill(EYE, -torch.inf), 1, keepdim=True)
    return torch.where(same, lse - s, 0).sum(1) + (x * z).sum(1)


def both_views(x, z, label):
    s, t = x @ z.T, x @ x.T
    joint = torch.cat([s, t.masked_fill(EYE, -torch.inf)], 1)
    return torch.logsumexp(joint, 1) - s.diagonal()


def below_the_largest(x, z, label):
    s = x @ z.T
    same = (label[:, None] == label[None]) & ~EYE
    largest = s.masked_fill(~same, -torch.inf).amax(1, keepdim=True).detach()
    d = torch.where(same.any(1, keepdim=True), s - largest, 0)
    return torch.where(same.any(1), torch.logsumexp(d, 1), 0) + 0 * z.sum()


def sigmoid(x, z, label):
    s = x @ z.T
    return torch.nn.functional.softplus(torch.where(EYE, -s, s)).sum(1)


LOSSES = {
    "0.5*lse(s - own(s), J) + 0.5*lse(swap(s) - own(s), J)": symmetric,
    "sum(softplus(where(B == J, -s, s)), J)": sigmoid,
    "sum(where(label == over(label, J) and not B == J, lse(dot(x, over(x, J)), J, not B == J) - dot(x, over(x, J)), 0),"
    " J) + own(s)": same_class,
    "joint_lse(s - own(s), only(dot(x, over(x, J)) - own(s), not B == J), J)": both_views,
    "where(any(label == over(label, J) and not B == J, J), lse(where(any(label == over(label, J) and not B == J, J),"
    " s - detach(max(only(s, label == over(label, J) and not B == J), J)), 0), J), 0)": below_the_largest,
}


@pytest.mark.parametrize(("text", "reference"), LOSSES.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_pairs_and_classes_are_those_of_torch_and_of_the_exact_reading(text, reference):
    loss = spec(text)
    case = draw(loss, loss.families[0], FLOAT64)
    found = expected(loss, case, FLOAT64, np.ones(case.batch))
    x, z = (torch.tensor(case.inputs[name], requires_grad=True) for name in ("x", "z"))
    value = reference(x, z, torch.tensor(case.inputs.get("label", np.zeros(6))))
    value.sum().backward()
    got = {"value": value.detach(), "x": x.grad, "z": z.grad}
    accepted = {"value": found.values["none"], **found.gradients["sum"]}
    gradients = loss.gradients({})
    with ctx.workprec(200):
        known = certified.known(loss, case, IEEE)
    trees = {"value": gradients.formula.loss, **gradients.trees[0]}
    for name, one in accepted.items():
        assert np.all(np.abs(got[name].numpy() - one.exact) <= one.bound)
        assert np.max(one.bound) < 1e-13
        exactly = np.array([two_doubles(ball)[0] for ball in known[trees[name]].ravel()])
        assert np.all(np.abs(exactly - one.exact.ravel()) <= 2.0**-53 * np.abs(exactly))


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=lambda dtype: dtype.name)
def test_what_a_condition_leaves_out_reaches_neither_value_nor_gradient(dtype):
    """NaN of the example itself, and of what is masked."""
    more = "  mask: {dims: [B, D], label: mask, meaning: what counts}"
    loss = spec("lse(x, D, mask == 1) + own(dot(where(not mask == 1, 0, x), z))", more)
    case = draw(loss, loss.families[0], dtype)
    case.inputs["mask"][:, 0], case.inputs["mask"][:, 1] = 1, 0
    case.inputs["x"][:, 1] = np.nan
    found = expected(loss, case, dtype, np.ones(case.batch))
    assert np.isfinite(found.values["none"].exact).all()
    assert np.isfinite(found.gradients["sum"]["x"].exact).all()
    assert (found.gradients["sum"]["x"].exact[:, 1] == 0).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("own(x)", "own takes one argument, which has B and an axis that runs over B again"),
        ("lse(over(s, J), J)", "over takes an input of each example"),
        ("lse(over(x), J)", "over is written over(x, J)"),
        ("lse(swap(s, J), J)", "swap is written swap(x)"),
        ("sum(where(B == D, s, 0), J)", "unknown name"),
        (
            "sum(where(B == J or B == J, s, 0), J)",
            "a condition is label == number, label == C, B == J, or made of such",
        ),
        ("sum(where(label == over(label, D), s, 0), J)", "over is written over(x, J)"),
        ("sum(where(label == s, s, 0), J)", "a label is compared with a number, a parameter or itself"),
        ("own(s) + sum(where(x == 0, x, 0), D)", "the formula compares 'x', which only a label can be"),
        ("lse(s + label, J)", "a class is only compared, the formula computes with it"),
        ("lse(s, J, 1)", "a condition is label == number"),
        ("lse(s, 2, B == J)", "lse is written lse(x, A)"),
        ("sum(B == J, J)", "not part of the formula language"),
    ],
)
def test_what_makes_no_sense_of_pairs_is_refused(text, message):
    with pytest.raises(SpecError) as refused:
        spec(text)
    assert message in str(refused.value)
