"""The museum: its catalogue is true, and a few of its exhibits are seen by the check that is meant to see them."""

import datetime
from dataclasses import replace

import pytest

from lossmark.adapters.installed import framework_version, frameworks
from lossmark.dtypes import DTYPES
from lossmark.errors import SpecError
from lossmark.rooms import room
from lossmark.sharpness import museum
from lossmark.sharpness.kills import Kills
from lossmark.specification.library import losses
from lossmark.specification.validate import entries

CATALOGUE = room("tests") / "museum" / "catalogue.yaml"
ENTRIES = entries(CATALOGUE, museum.Exhibit)
INSTALLED = tuple(name for name in frameworks() if framework_version(name))
SAMPLE = {
    "numpy/hinge-slope-by-the-target": "gradient",
    "numpy/bpr-reciprocal-of-exp": "value",
    "numpy/contrastive-layout-taken-for-contiguous": "layout",
}


WHOLE = {
    "project": "P",
    "reference": "p/p#1",
    "url": "https://github.com/p/p/issues/1",
    "date": "2020-01-01",
    "what": "w",
}


def test_there_are_enough_and_each_is_another_report():
    assert len(ENTRIES) >= 30
    assert len({entry.reference for entry in ENTRIES.values()}) == len(ENTRIES)
    assert len({entry.url for entry in ENTRIES.values()}) == len(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_is_whole(name):
    entry = ENTRIES[name]
    owner, _, number = entry.reference.partition("#")
    assert entry.url in (f"https://github.com/{owner}/{kind}/{number}" for kind in ("issues", "pull"))
    assert datetime.date(2012, 1, 1) < entry.date < datetime.date.today()
    assert name.partition("/")[0] in frameworks()
    assert set(entry.equivalent) < set(DTYPES)
    assert not entry.why.endswith(".")


def test_every_module_is_in_the_catalogue_and_every_loss_in_the_museum():
    found = museum.exhibits(INSTALLED)
    assert {exhibit.name for exhibit in found} == {name for name in ENTRIES if name.partition("/")[0] in INSTALLED}
    assert {exhibit.loss for exhibit in found} <= set(losses())


@pytest.mark.parametrize(
    ("line", "named"), [('date: "2020-13-01"', "date"), ("reference: 37154", "reference"), ("since: 1", "since")]
)
def test_an_entry_that_is_not_whole_is_refused_with_its_place(line, named, tmp_path):
    keys = WHOLE | {"date": '"2020-01-01"'} | dict([line.split(": ")])
    path = tmp_path / "catalogue.yaml"
    path.write_text("torch/x:\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items()), encoding="utf-8")
    with pytest.raises(SpecError, match=named):
        entries(path, museum.Exhibit)


def seen_in(dtype, equivalent, controls):
    """The dtypes in which a museum of one says that a way sees it, which accuses it on two cases of a dtype."""
    exhibit = replace(
        museum.exhibits(("numpy",))[0], entry=museum.Exhibit.model_validate(WHOLE | {"equivalent": equivalent})
    )
    found = {(exhibit.name, dtype): Kills(rivals={"way": {"one", "two"}})}
    return museum.Museum([exhibit], found, controls).seen(exhibit, "way")


def test_a_way_of_comparing_that_accuses_what_is_right_has_seen_nothing():
    control = {("numpy", "float16"): Kills(rivals={"way": {"one"}, "other": {"two"}})}
    assert seen_in("float16", {}, {}) == seen_in("float16", {}, control) == ["float16"]
    both = {("numpy", "float16"): Kills(rivals={"way": {"one", "two"}})}
    assert seen_in("float16", {}, both) == []
    assert seen_in("float32", {}, both) == ["float32"]
    assert seen_in("float16", {"float16": "it is right there"}, {}) == []


def test_some_are_seen_and_the_record_says_by_whom():
    chosen = [exhibit for exhibit in museum.exhibits(("numpy",)) if exhibit.name in SAMPLE]
    found = museum.museum(chosen)
    assert {exhibit.name: found.killer(exhibit)[1] for exhibit in chosen} == SAMPLE
    assert not found.unseen
    record = museum.record_museum(found)
    rows = {row["name"]: row for row in record["exhibits"]}
    layout = rows["numpy/contrastive-layout-taken-for-contiguous"]
    assert layout["seen"] == {way: [] for way in museum.OTHERS} | {"lossmark": list(DTYPES)}
    assert layout["test_then"]["seen"] is False
    assert record["of"][museum.OWN_TESTS] == 1
    assert record["seen"]["lossmark"] == record["of"]["lossmark"] == len(SAMPLE)
