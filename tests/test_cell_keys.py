"""Optional keys of a cell (grade, worst, retried) are kept where they are set, and older results are read without."""

import math
from dataclasses import replace

import pytest
from lossmark.reports.loss_pages import grade_of

from lossmark.results.record import ResultsError, read
from lossmark.sharpness.likeness import like
from lossmark.specification.library import losses
from tests.sites import FAILING, cell, written

WORST = {"label": "mean", "index": [], "got": 0.3465735912322998, "expected": 0.693147, "bound": 1e-7}


def test_keys_that_are_empty_are_left_out(tmp_path):
    plain = cell(0)
    assert not {"grade", "worst", "retried"} & plain.record().keys()
    assert read(written(tmp_path / "plain.jsonl", [plain])).cells == (plain,)


def test_keys_that_are_set_are_kept_with_numbers_that_json_cannot_write(tmp_path):
    marked = cell(0, grade="flushed to zero", retried="the process ended (signal 9)", worst=WORST | {"got": math.inf})
    assert marked.record()["worst"]["got"] == "inf"
    assert read(written(tmp_path / "marked.jsonl", [marked])).cells == (marked,)
    assert len({marked, marked}) == 1


@pytest.mark.parametrize("worst", ["a text", 3, {"label": "mean"}, WORST | {"got": "much"}, WORST | {"index": 3}])
def test_a_malformed_worst_element_is_refused(worst, tmp_path):
    path = written(tmp_path / "broken.jsonl", [cell(0, worst=worst)])
    with pytest.raises(ResultsError, match="malformed"):
        read(path)


def test_what_a_number_looks_like_is_read_from_the_worst_element_or_from_the_detail():
    case = losses()["bpr"].case("bpr/worked")
    told = like(FAILING, case)
    assert told
    assert like(replace(FAILING, detail="", worst=WORST), case) == told
    for nothing in (
        replace(FAILING, detail="no number"),
        replace(FAILING, worst=WORST | {"label": "value beside it"}),
        replace(FAILING, worst=WORST | {"expected": WORST["got"]}),
    ):
        assert not like(nothing, case)


def test_a_grade_is_read_from_its_key_or_from_the_detail():
    assert grade_of(cell(0, grade="gradual underflow")) == "gradual underflow"
    assert grade_of(cell(0, detail="grade: gradual underflow")) == "gradual underflow"
    assert not grade_of(cell(0, detail="slope chosen at the kink: 0"))
