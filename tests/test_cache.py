"""What is kept between runs is never wrong: nothing stale, nothing damaged, nothing by halves."""

import dataclasses
import json
import os
import threading

import numpy as np
import pytest

from lossmark import cache
from lossmark.cache import Store
from lossmark.dtypes import DTYPES
from lossmark.specification.inputs import draw
from lossmark.specification.library import losses
from lossmark.tolerance import kept
from lossmark.tolerance.expected import expected, expected_of_many
from tests.processes import lossmark


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LOSSMARK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lossmark"


def entries(folder, kind=kept.KIND):
    return sorted(path for path in (folder / kind).glob("*") if path.is_file())


def same(one, other):
    """Whether two expectations are the same to the last bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if dataclasses.is_dataclass(one):
        fields = [field.name for field in dataclasses.fields(one) if field.init]
        return all(same(getattr(one, name), getattr(other, name)) for name in fields)
    return one is None and other is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", losses())
def test_what_is_kept_is_what_is_computed(loss, dtype, folder, monkeypatch):
    """Golden cases with all their edges, the kinks and the limits among them, and a family."""
    spec, dtype = losses()[loss], DTYPES[dtype]
    small = [
        case for case in spec.golden(dtype.name) if sum(x.nbytes for x in case.inputs.values()) <= kept.LARGEST_INPUTS
    ]
    assert {case.id for case in spec.golden(dtype.name)} - {case.id for case in small} <= {f"{loss}/vocabulary-rows"}
    cases = [*small, draw(spec, spec.families[1], dtype)]
    weights = [np.linspace(0.5, 1.5, case.batch) for case in cases]
    monkeypatch.setenv("LOSSMARK_CACHE", "off")
    computed = expected_of_many(spec, cases, dtype, weights)
    assert not folder.exists()
    monkeypatch.setenv("LOSSMARK_CACHE", str(folder.parent))
    first = expected_of_many(spec, cases, dtype, weights)
    monkeypatch.setattr("lossmark.tolerance.expected.read_block", None)
    again = expected_of_many(spec, cases, dtype, weights)
    assert len(entries(folder)) > 1
    for one, other, third in zip(computed, first, again, strict=True):
        assert same(one, other)
        assert same(one, third)


def changed(change):
    """The number of entries after asking for a case and for the case with one thing changed."""
    spec, dtype = losses()["pairwise_hinge"], DTYPES["float32"]
    case = spec.golden("float32")[0]
    arguments = {"loss": spec, "case": case, "dtype": dtype, "cotangent": np.ones(case.batch)}
    expected(**arguments)
    expected(**{**arguments, **change(arguments)})
    return len(entries(cache.cache_folder()))


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (lambda given: {}, 1),
        (lambda given: {"case": dataclasses.replace(given["case"], id="another", why="another")}, 1),
        (lambda given: {"loss": losses()["bpr"]}, 2),
        (lambda given: {"dtype": DTYPES["bfloat16"]}, 2),
        (lambda given: {"dtype": dataclasses.replace(given["dtype"], gradual=True)}, 2),
        (lambda given: {"cotangent": 2 * given["cotangent"]}, 2),
        (lambda given: {"wanted": ("mean",)}, 2),
        (lambda given: {"scale": 0.5}, 2),
        (lambda given: {"case": dataclasses.replace(given["case"], params={"margin": 0.25})}, 2),
        (lambda given: {"case": _nudged(given["case"])}, 2),
    ],
)
def test_the_name_of_an_entry_tells_everything_that_it_follows_from(change, number):
    assert changed(change) == number


def _nudged(case):
    inputs = {name: array.copy() for name, array in case.inputs.items()}
    first = next(iter(inputs.values()))
    first[0] = np.nextafter(first[0], np.inf)
    return dataclasses.replace(case, inputs=inputs)


def test_another_revision_of_the_readings_has_other_entries(folder, monkeypatch):
    spec = losses()["bpr"]
    case = spec.golden("float32")[0]
    expected(spec, case, DTYPES["float32"], np.ones(case.batch))
    monkeypatch.setattr(kept, "revision", lambda: "another")
    expected(spec, case, DTYPES["float32"], np.ones(case.batch))
    assert len(entries(folder)) == 2


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:40], lambda b: b"", lambda b: b[:50] + b"\0" + b[51:]]
)
def test_a_damaged_entry_is_computed_anew(damage, folder):
    spec = losses()["bpr"]
    case = spec.golden("float32")[0]
    first = expected(spec, case, DTYPES["float32"], np.ones(case.batch))
    (path,) = entries(folder)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    assert same(first, expected(spec, case, DTYPES["float32"], np.ones(case.batch)))
    assert path.read_bytes() == whole


def test_writers_beside_each_other_leave_whole_entries(folder):
    contents = {bytes([number]) * 100_000 for number in range(8)}

    def write(content):
        for _ in range(20):
            Store("exact").put("one", content)
            assert Store("exact").get("one") in contents

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Store("exact").get("one") in contents
    assert [path.name for path in entries(folder)] == ["one"], "what was begun is gone"


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("LOSSMARK_CACHE", str(file))
    Store("exact").put("one", b"content")
    assert Store("exact").get("one") is None
    assert cache.programs_folder(("numpy",)) is None
    assert cache.inventory() == []


def test_what_nobody_asks_for_is_trimmed_first(folder):
    store = Store("exact")
    for number in range(4):
        store.put(str(number), bytes(1000))
        os.utime(folder / "exact" / str(number), (number, number))
    assert store.get("0") is not None
    cache.trim(2500)
    assert [path.name for path in entries(folder)] == ["0", "3"]


def test_nothing_else_in_a_named_folder_is_touched(folder):
    """Whoever names a folder that holds other things loses none of them."""
    Store("exact").put("one", bytes(1000))
    other = folder.parent / "exact" / "other"
    other.parent.mkdir()
    other.write_bytes(bytes(1000))
    cache.trim(0)
    cache.clear()
    assert other.exists()
    assert cache.inventory() == []


def test_the_command_shows_and_clears(folder):
    Store("exact").put("one", bytes(984))
    shown = lossmark("cache", "--format", "json", cwd=folder.parent)
    assert json.loads(shown.stdout) == {
        "folder": str(folder), "kept": [{"kind": "exact", "files": 1, "size": 1000}]
    }  # fmt: skip
    assert str(folder) in lossmark("cache", "--clear", cwd=folder.parent).stdout
    assert entries(folder) == []
