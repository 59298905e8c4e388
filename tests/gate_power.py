"""How often the gate is right: on code that is the same, and on code that is slower or dearer by a known amount.

    LOSSMARK_POWER=34 pytest tests/gate_power.py -m soak -s          gates of 3 benchmarks per row (default: 3)

Quiet, and beside 2 and 4 busy neighbours. Prints the rates row by row, and beside them what
``--benchmark-compare-fail=mean:5%`` would have said of the very same times. Each row is also appended as a JSON line to
the file LOSSMARK_FIGURES, where that is set.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lossmark.gate import costs
from lossmark.gate.benchmark import Benchmark
from lossmark.gate.race import Terms, raced
from lossmark.gate.sides import Side

SOURCE = """
import numpy as np
from lossmark import Implementation
impl = Implementation("mini", framework="numpy")
REPEATS, KEPT = {repeats}, {kept}
@impl.loss
def bpr(u, d_pos, d_neg):
    for _ in range(REPEATS):
        x = np.einsum("bd,bd->b", u, d_neg) - np.einsum("bd,bd->b", u, d_pos)
    kept = np.ones((round(KEPT * len(u)), u.shape[1]), u.dtype)
    return np.logaddexp(x, np.float32(0)).mean(dtype=np.float32)
"""
BENCHMARKS = [Benchmark("mini", "bpr", "eager", (batch, 128), "fwd") for batch in (1024, 2048, 4096)]
REPEATS = 30
SLOWDOWNS = (0.0, 0.033, 0.1, 0.3)
NEIGHBOURS = (0, 2, 4)
BUSY = "import numpy as np\na = np.ones(1 << 20)\nwhile True: np.add(a, 1.0, out=a)"
GATES = int(os.environ.get("LOSSMARK_POWER", "3"))


@contextlib.contextmanager
def busy(count):
    """Neighbours that keep a processor and the memory busy."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-c", BUSY])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def recorded(**row):
    """Append a row of figures for the results pages."""
    if path := os.environ.get("LOSSMARK_FIGURES"):
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def entrants(folder, **head):
    """The base, and a head that differs from it by what is named."""
    found = []
    for name, changed in (("base", {}), ("head", head)):
        path = folder / f"{name}.py"
        path.write_text(SOURCE.format(**({"repeats": REPEATS, "kept": 0.0} | changed)))
        side = Side(name, (str(path),))
        found.append((side, side.targets()["mini"]))
    return lambda impl: tuple(found)


@pytest.mark.soak
@pytest.mark.parametrize("neighbours", NEIGHBOURS)
@pytest.mark.parametrize("slowdown", SLOWDOWNS)
def test_rates_of_the_verdicts(slowdown, neighbours, tmp_path):
    both = entrants(tmp_path, repeats=round(REPEATS * (1 + slowdown)))
    counts, reasons, means = Counter(), Counter(), 0
    with busy(neighbours):
        for _ in range(GATES):
            for race in raced(BENCHMARKS, both, Terms()):
                counts[race.verdict] += 1
                means += race.means > 1.05
                reasons.update([race.reason.partition(":")[0].partition("(")[0]] if race.reason else [])
    total = sum(counts.values())
    rates = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("fail", "pass", "inconclusive"))
    print(f"\n+{slowdown:.0%}, {neighbours} neighbours: {rates} of {total}; a mean beyond 5 %: {means}", flush=True)
    print(dict(reasons), flush=True)
    recorded(
        kind="rates", slowdown=slowdown, neighbours=neighbours, fail=counts["fail"], passed=counts["pass"],
        inconclusive=counts["inconclusive"], gates=total, mean_beyond=means,
    )  # fmt: skip
    assert total == GATES * len(BENCHMARKS)
    if slowdown == 0:
        assert not counts["fail"]
    if slowdown >= 0.1:
        assert counts["pass"] <= 0.02 * total


@pytest.mark.soak
@pytest.mark.parametrize("neighbours", NEIGHBOURS)
@pytest.mark.parametrize("kept", [0.0, 0.5, 2.0])
def test_memory_that_is_held_is_seen(kept, neighbours, tmp_path):
    both = entrants(tmp_path, kept=kept)
    large = [benchmark for benchmark in BENCHMARKS if benchmark.size[0] * 512 * kept > 2 * costs.PAGES or not kept]
    with busy(neighbours):
        found = [finding for _ in range(GATES) for finding in costs.compared(large, both)]
    print(f"\n+{kept} inputs kept, {neighbours} neighbours: {len(found)} of {GATES * len(large)}", flush=True)
    recorded(kind="memory", inputs_kept=kept, neighbours=neighbours, seen=len(found), gates=GATES * len(large))
    assert len(found) == (GATES * len(large) if kept else 0)
