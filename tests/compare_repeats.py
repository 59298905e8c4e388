"""What `lossmark compare` says of an implementation and itself, again and again.

    LOSSMARK_REPEATS=4 pytest tests/compare_repeats.py -m soak -s      comparisons of every loss (default: 1)

Prints the verdicts, and appends them as a JSON line to the file LOSSMARK_FIGURES, where that is set.
"""

import json
import os
from collections import Counter

import pytest

from tests.gate_power import recorded
from tests.processes import lossmark

REPEATS = int(os.environ.get("LOSSMARK_REPEATS", "1"))


@pytest.mark.soak
@pytest.mark.parametrize(("name", "size"), [("numpy", "64x16"), ("torch", "4096x128")])
def test_an_implementation_is_not_slower_than_itself(name, size, tmp_path):
    verdicts = Counter()
    for _ in range(REPEATS):
        done = lossmark("compare", name, name, "--size", size, "--format", "json", cwd=tmp_path)
        assert done.returncode in (0, 1, 2), done.stderr
        verdicts.update(row["verdict"] for row in json.loads(done.stdout))
    print(f"\n{name} at {size}: {dict(verdicts)}", flush=True)
    counts = {verdict.replace(" ", "_"): verdicts[verdict] for verdict in ("not slower", "slower", "undecided")}
    recorded(
        impl=name, size=size, comparisons=verdicts.total(), **counts, not_timed=verdicts["not timed"]
    )  # fmt: skip
    assert not verdicts["not timed"]
