"""The soak: `pytest tests -m soak`. Resumable: what it has seen stays in the file LOSSMARK_SOAK (soak.jsonl).

LOSSMARK_SOAK_SEEDS says how many seeds (default 2, hundreds of millions of comparisons). The first ones hold numbers of
every size, so that somebody comes near each bound.
"""

import math
import os
from pathlib import Path

import pytest

from lossmark.adapters.installed import framework_version, frameworks
from lossmark.sandbox.target import targets
from lossmark.sharpness import mutants as catalogue
from lossmark.sharpness import soak
from lossmark.specification.library import losses

INSTALLED = tuple(name for name in frameworks() if framework_version(name))
FILE = Path(os.environ.get("LOSSMARK_SOAK", "soak.jsonl"))
SEEDS = range(2013, 2013 + int(os.environ.get("LOSSMARK_SOAK_SEEDS", "2")))
ENOUGH = 5_000_000


@pytest.mark.soak
def test_no_right_implementation_fails_on_fresh_cases():
    found = targets(INSTALLED) + catalogue.right(INSTALLED)
    for part in [part for seed in SEEDS for part in soak.parts(found, seed)]:
        if part not in soak.done(FILE):
            soak.record(FILE, part, list(soak.soak(found, part)))
    cells = soak.recall(FILE)
    table = soak.budgets(cells)
    print(table.to_string())
    wrong = cells[cells.verdict.isin(["fail", "error"])]
    assert wrong.empty, wrong.head().to_string()
    assert table.comparisons.sum() >= ENOUGH
    assert (table.largest >= 0.5).all(), "a bound that nobody comes near is too loose"


def test_a_seed_gives_the_same_cases_again_and_an_interrupted_file_is_read(tmp_path):
    numpy = targets(("numpy",))
    one, two, *_ = soak.parts(numpy, 1)
    first, again = (list(soak.soak(numpy, one)) for _ in range(2))
    assert first == again
    assert {cell.verdict for cell in first} <= {"pass", "not-run"}
    path = tmp_path / "soak.jsonl"
    soak.record(path, one, first)
    path.write_text(path.read_text() + '{"seed": 2, "cells": [')
    assert len(soak.recall(path)) == len(first)
    assert soak.done(path) == {one} != {two}


def test_a_coupled_loss_has_no_borders_and_no_readings_that_take_minutes():
    for loss in losses().values():
        families = [soak.fresh(loss, seed).families for seed in (1, 2)]
        assert all(loss.coupled != any(one.model.distribution == "borders" for one in few) for few in families)
        assert max(math.prod(one.shape) for few in families for one in few) < 1 << 22
