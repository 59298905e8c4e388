"""The soak: `pytest tests -m soak`. Resumable: what it has seen stays in the file LOSSMARK_SOAK (soak.jsonl).

LOSSMARK_SOAK_SEEDS says how many seeds (default 2, hundreds of millions of comparisons). The first ones hold numbers of
every size, so that somebody comes near each bound.
"""

import os
from pathlib import Path

import pytest

from lossmark.adapters.installed import framework_version, frameworks
from lossmark.sandbox.target import targets
from lossmark.sharpness import mutants as catalogue
from lossmark.sharpness import soak

INSTALLED = tuple(name for name in frameworks() if framework_version(name))
FILE = Path(os.environ.get("LOSSMARK_SOAK", "soak.jsonl"))
SEEDS = range(2013, 2013 + int(os.environ.get("LOSSMARK_SOAK_SEEDS", "2")))
ENOUGH = 5_000_000


@pytest.mark.soak
def test_no_right_implementation_fails_on_fresh_cases():
    found = targets(INSTALLED) + catalogue.right(INSTALLED)
    for seed in SEEDS:
        if seed not in set(soak.recall(FILE).seed):
            soak.record(FILE, seed, list(soak.soak(found, seed)))
    cells = soak.recall(FILE)
    table = soak.budgets(cells)
    print(table.to_string())
    wrong = cells[cells.verdict.isin(["fail", "error"])]
    assert wrong.empty, wrong.head().to_string()
    assert table.comparisons.sum() >= ENOUGH
    assert (table.largest >= 0.5).all(), "a bound that nobody comes near is too loose"


def test_a_seed_gives_the_same_cases_again_and_an_interrupted_file_is_read(tmp_path):
    numpy = targets(("numpy",))
    first, again = (list(soak.soak(numpy, 1)) for _ in range(2))
    assert first == again
    assert {one.verdict for one in first} <= {"pass", "not-run"}
    path = tmp_path / "soak.jsonl"
    soak.record(path, 1, first)
    path.write_text(path.read_text() + '{"seed": 2, "cells": [')
    assert len(soak.recall(path)) == len(first)
