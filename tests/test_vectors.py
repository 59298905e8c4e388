"""Vectors: the files follow their schema, and a reader without lossmark gives the verdicts that the suite gives."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lossmark.checks.judgement import judge, loose, slopes
from lossmark.dtypes import DTYPES
from lossmark.errors import CertificationError
from lossmark.golden.ids import IDS_FILE, changelog, gone
from lossmark.specification.library import losses
from lossmark.tolerance.expected import expected_of_many
from lossmark.vectors.schema import schema_text
from lossmark.vectors.write import vectors_of

ROOT = Path(__file__).parents[1]
READERS = ROOT / "docs" / "vectors"
FLOAT32 = DTYPES["float32"]
CLEAR = 2.0**-18
"""The part of a bound by which a number lies on one side of its border: files round it by up to 2^-20."""


def _reader():
    spec = importlib.util.spec_from_file_location("vector_reader", READERS / "read.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = _reader()


class Both:
    """One case in one dtype, as the suite holds it and as a file of vectors does."""

    def __init__(self, record, truth, dtype, head):
        self.expected, self.allowed = record["expected"], record["allowed"][dtype.name]
        self.truth, self.dtype, self.room = truth, dtype, float.fromhex(head["dtypes"][dtype.name]["room"])

    def value(self, reduction, got):
        """Whether a value conforms: to the suite, and to the reader."""
        accepted, allowed = self.truth.values[reduction], self.allowed["value"][reduction]
        if loose([accepted], self.dtype):
            assert "unjudged" in allowed
            return True, True
        flat = got.ravel().astype(float).tolist()
        wrong = reader.wrong(flat, self.expected["value"][reduction], allowed)
        return judge(got, accepted, self.dtype, reduction).ok, not wrong

    def gradient(self, reduction, got):
        """Whether gradients conform, likewise."""
        accepted, allowed = self.truth.gradients[reduction], self.allowed["gradient"][reduction]
        if loose(list(accepted.values()), self.dtype):
            assert "unjudged" in allowed
            return True, True
        flat = {name: part.ravel().astype(float).tolist() for name, part in got.items()}
        wrong = reader.wrong_gradients(flat, self.expected["gradient"][reduction], allowed, self.room)
        return slopes(got, accepted, self.truth.kinks[reduction], self.dtype, reduction).ok, not wrong


def read_both(loss, dtype):
    """Every case of a loss that both have."""
    record = vectors_of(loss, [dtype.name])
    records = {case["id"]: case for case in record["cases"] if dtype.name in case.get("allowed", ())}
    cases = [loss.case(name) for name in records]
    weights = [np.array(reader.numbers(records[case.id]["expected"]["weights"])) for case in cases]
    truths = expected_of_many(loss, cases, dtype, weights)
    return [Both(records[case.id], truth, dtype, record) for case, truth in zip(cases, truths, strict=True)]


def in_dtype(dtype, x):
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(x, np.float64).astype(dtype.numpy)


def around(accepted, dtype, generator):
    """Arrays right and wrong: exact, at every alternative, beside every border, and what is no number."""
    finite = np.where(np.isfinite(accepted.exact), accepted.exact, 1.0)
    yield in_dtype(dtype, accepted.exact)
    for beside in (accepted.limit, accepted.textbook, accepted.form):
        if beside is not None:
            yield in_dtype(dtype, beside.exact)
            some = generator.random(accepted.shape) < 0.5
            yield in_dtype(dtype, np.where(some, beside.exact + np.nan_to_num(beside.bound), accepted.exact))
    for share in (-2.0, -1 - CLEAR, CLEAR - 1, 0.5, 1 - CLEAR, 1 + CLEAR, 1.5):
        yield in_dtype(dtype, finite + share * np.nan_to_num(accepted.bound, posinf=1.0))
    for special in (np.nan, np.inf, -np.inf, 0.0):
        some = generator.random(accepted.shape) < 0.3
        yield in_dtype(dtype, np.where(some, special, accepted.exact))
    yield in_dtype(dtype, np.where(generator.random(accepted.shape) < 0.2, -finite, accepted.exact))
    yield in_dtype(dtype, finite * (1 + 4 * dtype.u))


def at_slopes(kink, accepted, dtype, generator):
    """Gradients of kinked rows with slopes drawn: ends, others, of one input alone, and outside of [0, 1]."""
    rows = len(kink.rows)
    for slopes_of in (
        lambda: generator.integers(0, 2, (kink.places, rows)).astype(float),
        lambda: generator.random((kink.places, rows)),
        lambda: np.full((kink.places, rows), 0.5),
        lambda: generator.random((kink.places, rows)) * 1.5 - 0.25,
    ):
        chosen, other = slopes_of(), slopes_of()
        for mixed in (False, True):
            got = {}
            for number, (name, part) in enumerate(accepted.items()):
                zero, one = kink.at_zero[name], kink.at_one[name]
                weights = (other if mixed and number else chosen).reshape(kink.places, rows, *[1] * (zero.ndim - 1))
                exact = part.exact.copy()
                exact[kink.rows] = zero + (weights * (one - zero)).sum(axis=0)
                got[name] = in_dtype(dtype, exact)
            yield got


def compared(loss, dtype):
    """How many results conform and how many do not, where suite and reader agree; fails where they do not."""
    counts = {True: 0, False: 0}
    generator = np.random.default_rng(7)

    def agree(found, what):
        assert found[0] == found[1], f"{loss.id}: {what}: the suite says {found[0]}, the reader {found[1]}"
        counts[found[0]] += 1

    with np.errstate(all="ignore"):
        for both in read_both(loss, dtype):
            for reduction, accepted in both.truth.values.items():
                for got in around(accepted, dtype, generator):
                    agree(both.value(reduction, got), (reduction, got))
            for reduction, parts in both.truth.gradients.items():
                exact = {name: in_dtype(dtype, part.exact) for name, part in parts.items()}
                kink = both.truth.kinks[reduction]
                for name, accepted in parts.items():
                    for got in around(accepted, dtype, generator):
                        if kink is not None:  # a slope next to 0 or 1 may explain what is just beyond their bounds
                            got[kink.rows] = exact[name][kink.rows]
                        agree(both.gradient(reduction, exact | {name: got}), (reduction, name, got))
                for got in at_slopes(kink, parts, dtype, generator) if kink is not None else ():
                    agree(both.gradient(reduction, got), (reduction, got))
    return counts


@pytest.mark.parametrize("loss", losses().values(), ids=lambda loss: loss.id)
def test_a_reader_gives_the_verdicts_of_the_suite(loss):
    counts = compared(loss, FLOAT32)
    assert min(counts.values()) > 100


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
@pytest.mark.parametrize("loss", ["contrastive", "cross_entropy", "multi_margin", "pairwise_hinge"])
def test_so_it_does_in_the_other_dtypes(loss, dtype):
    assert min(compared(losses()[loss], DTYPES[dtype]).values()) > 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The vectors of a few losses, written by the command."""
    folder = tmp_path_factory.mktemp("vectors")
    command = [sys.executable, "-m", "lossmark", "vectors", "-o", str(folder)]
    for loss in ("huber", "multi_margin", "cross_entropy", "labeled_triplet"):
        command += ["--loss", loss]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def written(folder, loss):
    return json.loads((folder / f"{loss}.json").read_text(encoding="utf-8"))


def test_files_follow_the_published_schema(folder):
    assert (folder / "schema.json").read_text(encoding="utf-8") == schema_text()
    assert (READERS / "schema.json").read_text(encoding="utf-8") == schema_text()
    files = [str(path) for path in sorted(folder.glob("*.json")) if path.name != "schema.json"]
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(folder / "schema.json"), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    broken = written(folder, "huber")
    broken["cases"][0]["expected"]["value"]["none"]["exact"][0] = "0.1"
    (folder / "broken").mkdir(exist_ok=True)
    (folder / "broken" / "huber.json").write_text(json.dumps(broken), encoding="utf-8")
    command = [*command[:5], str(folder / "broken" / "huber.json")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("loss", ["huber", "multi_margin", "cross_entropy", "labeled_triplet"])
def test_every_case_is_there_or_left_out_with_a_reason(folder, loss):
    found = written(folder, loss)
    missing = {case["id"]: case["why"] for case in found["left_out"]}
    ids = [case["id"] for case in found["cases"]]
    assert {*ids, *missing} == {case.id for case in losses()[loss].cases}
    assert len(ids) == len(set(ids))
    assert all(losses()[loss].case(name).few is not None for name in missing)
    assert ("refused" in found["cases"][-1]) == (losses()[loss].case(ids[-1]).error is not None)


def certified_leaves(leaf):
    if isinstance(leaf, list):
        return [number for item in leaf for number in certified_leaves(item)]
    return [leaf if isinstance(leaf, str) else None]


@pytest.mark.parametrize("loss", ["multi_margin", "cross_entropy", "labeled_triplet"])
def test_exact_numbers_are_those_that_the_spec_certifies(folder, loss):
    for record in written(folder, loss)["cases"]:
        if "refused" in record:
            continue
        golden, expected = losses()[loss].case(record["id"]).golden.expect, record["expected"]
        for reduction, leaf in (("none", golden.value), ("mean", [golden.mean])):
            pairs = zip(certified_leaves(leaf), expected["value"][reduction]["exact"], strict=True)
            assert all(right in (None, found) for right, found in pairs), record["id"]
        kinked = {
            row
            for found in record["allowed"].values()
            for row in found["gradient"]["sum"].get("kinks", {"rows": ()})["rows"]
        }
        for name, leaf in golden.grad.items():
            width = record["inputs"][name]["shape"][-1] if len(record["inputs"][name]["shape"]) > 1 else 1
            exact = expected["gradient"]["sum"][name]["exact"]
            for at, (right, found) in enumerate(zip(certified_leaves(leaf), exact, strict=True)):
                assert right in (None, found) or at // width in kinked, record["id"]


def test_a_case_that_is_not_certified_is_refused(tmp_path):
    text = (ROOT / "specs" / "huber.yaml").read_text(encoding="utf-8")
    head, _, rest = text.partition("    expect:\n")
    (tmp_path / "huber.yaml").write_text(head + "    expect: {}\n" + rest[rest.index("  - id:") :], encoding="utf-8")
    with pytest.raises(CertificationError, match="nothing is certified, run: lossmark certify"):
        vectors_of(losses(tmp_path)["huber"], ["float32"])


def test_the_reader_needs_nothing_and_is_short():
    text = (READERS / "read.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert [line for line in text.splitlines() if "import" in line] == ["from math import isfinite, isnan"]


def test_a_loss_in_javascript_is_held_to_them(folder, tmp_path):
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("LOSSMARK_REQUIRE"), "where everything is required, node is too"
        pytest.skip("node is not installed")
    script = READERS / "check_huber.mjs"
    done = subprocess.run([node, script, folder / "huber.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d{3} results, 0 numbers", done.stdout)
    wrong = script.read_text(encoding="utf-8").replace("m <= delta ? 0.5 * m * m", "m < 2 * delta ? 0.5 * m * m")
    (tmp_path / "wrong.mjs").write_text(wrong, encoding="utf-8")
    assert subprocess.run([node, tmp_path / "wrong.mjs", folder / "huber.json"], check=False).returncode == 1


def test_ids_that_are_gone_are_named(tmp_path):
    loss = losses()["huber"]
    known = json.loads(changelog([loss], tmp_path))
    assert known == {"1.0": sorted(case.id for case in loss.cases)}
    (tmp_path / IDS_FILE).write_text(json.dumps({"0.9": ["huber/worked", "huber/lost"]}), encoding="utf-8")
    assert [flaw.where for flaw in gone([loss], tmp_path)] == ["huber/worked", "huber/lost"]
    kept = json.loads(changelog([loss], tmp_path))
    assert kept["0.9"] == ["huber/lost", "huber/worked"], "what is gone stays in the changelog"


def test_nothing_conforms_to_an_infinite_loss_by_its_infinite_bound():
    """In float64 the textbook's form overflows here, with an infinite bound: no finite number lies within it."""
    loss = losses()["linear_cross_entropy"]
    case = loss.case("linear_cross_entropy/overflow-double")
    accepted = expected_of_many(loss, [case], DTYPES["float64"], [np.ones(case.batch)])[0].values["none"]
    assert np.isinf(accepted.exact).any()
    assert not judge(np.full(case.batch, -1.0), accepted, DTYPES["float64"], "none").ok
