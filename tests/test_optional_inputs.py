"""An input that may be left out: whoever takes it is given it, whoever does not is not asked."""

import pytest

from tests.miniatures import HEAD
from tests.test_conformance import held

SOURCE = (
    HEAD.format(framework="numpy")
    + """
@impl.loss
def cross_entropy(logits, target, *{weight}, reduction="mean"):
    floating(logits)
    if target.shape != logits.shape[:1] or (target < 0).any() or (target >= logits.shape[1]).any():
        raise ValueError("target")
    z = logits.astype(np.float64) - logits.max(1, keepdims=True)
    w = np.ones(logits.shape[1]) if {given} is None else {given}.astype(np.float64)
    if w.shape != logits.shape[1:]: raise ValueError("weight")
    l = w[target] * (np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), target])
    return np.asarray(l.sum() / w[target].sum() if reduction == "mean" else reduced(l, reduction)).astype(logits.dtype)
"""
)


@pytest.mark.parametrize(("takes", "verdict"), [(True, "pass"), (False, "unsupported")])
def test_an_optional_input_is_given_to_those_who_take_it(takes, verdict, tmp_path):
    source = SOURCE.format(weight=", weight=None" if takes else "", given="weight" if takes else "None")
    for case in ("generic-weighted", "weight-mismatch"):
        _, results = held(source, tmp_path, "--case", f"cross_entropy/{case}", "--dtype", "float64")
        assert {cell.verdict for cell in results.cells if cell.check in ("value", "refusal")} == {verdict}, case
