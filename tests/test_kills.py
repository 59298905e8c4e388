"""A gate sees that a mutant is no longer killed, whether its kill was observed or proved."""

import json

from lossmark.gate.kills import lost_kills


def tree(folder, **states):
    """A tree whose scoreboard has one mutant with these states by dtype."""
    path = folder / "reports" / "results" / "sharpness.json"
    path.parent.mkdir(parents=True)
    boxes = {dtype: {"state": state, "why": "bpr/worked"} for dtype, state in states.items()}
    path.write_text(json.dumps({"mutants": [{"name": "forgets-margin", "boxes": boxes}]}))
    return folder


def test_a_kill_that_is_gone_is_a_regression_observed_or_proved(tmp_path):
    base = tree(tmp_path / "base", float64="proved", float32="killed", float16="survives")
    head = tree(tmp_path / "head", float64="survives", float32="survives", float16="survives")
    (finding,) = lost_kills(base, head)
    assert (finding.severity, finding.subject) == ("regression", "forgets-margin")
    assert finding.text.endswith("killed in float32, float64")


def test_a_kill_that_becomes_proved_is_none(tmp_path):
    base, head = tree(tmp_path / "base", float32="killed"), tree(tmp_path / "head", float32="proved")
    assert list(lost_kills(base, head)) == []


def test_a_base_without_a_scoreboard_has_lost_nothing(tmp_path):
    assert list(lost_kills(tmp_path, tree(tmp_path / "head", float32="survives"))) == []
