"""Measures what ``--shard`` cuts by: ``python -m lossmark.benchmarks.run_costs [LOSS …]``.

It writes ``conformance/costs.json``. The default plan is run one run after the other, and the processor time of the
judge and of all that it has started is read after each. Exact values are asked for first, so that whoever comes first
does not pay for all. Nothing is kept from earlier runs, as on a machine that is lent. Each loss is measured alone;
losses that are named are measured anew, and the others stay as they are. All of it takes about half an hour.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from lossmark.adapters.installed import framework_version, frameworks, numeric_setups
from lossmark.adapters.registry import Reference
from lossmark.checks.prepared import Unsupported
from lossmark.results.environment import environment
from lossmark.rooms import room
from lossmark.sandbox.process import Worker
from lossmark.specification.library import losses
from lossmark.suite.costs import COSTS_FILE
from lossmark.suite.plan import Choice, plan
from lossmark.suite.suite import Suite

COMMAND = "python -m lossmark.benchmarks.run_costs"
LISTS = {"starts": ("framework",), "exact": ("loss", "dtype"), "runs": ("impl", "framework", "mode", "loss")}
"""The tables of the file, and what names a row of each."""


class ProcessorTime:
    """Processor seconds of this process, and of all that it has started, as far as they were seen."""

    def __init__(self) -> None:
        self._me = psutil.Process()
        self._started: dict[psutil.Process, float] = {}

    def seconds(self) -> float:
        """The sum until now."""
        for child in self._me.children(recursive=True):
            try:
                times = child.cpu_times()
            except psutil.Error:
                continue
            self._started[child] = times.user + times.system
        mine = self._me.cpu_times()
        return mine.user + mine.system + sum(self._started.values())


def starts() -> Mapping[tuple[str, ...], float]:
    """Of every framework that is installed: what it costs to start a process of its plain implementation."""
    found = {}
    for name, adapter in frameworks().items():
        if framework_version(name) is None:
            continue
        plain = next(impl for impl, own in adapter.own.items() if not own.fused)
        clock, worker = ProcessorTime(), Worker(Reference(plain, plain, name, own=True))
        before = clock.seconds()
        worker.start()
        found[name,] = clock.seconds() - before
        worker.stop()
    return found


def of_loss(loss: str, started: Mapping[tuple[str, ...], float]) -> Iterator[tuple[str, tuple[str, ...], int, float]]:
    """The table, the name, the runs and the processor seconds of every row that a loss has."""
    seconds: Counter[tuple[str, tuple[str, ...]]] = Counter()
    runs: Counter[tuple[str, tuple[str, ...]]] = Counter()
    waiting = dict(started)
    planned = plan(losses(), Choice(losses=(loss,)))
    suite, clock = Suite(planned, ahead=False), ProcessorTime()
    try:
        before = clock.seconds()
        for run in (run for run in planned if not run.reason):
            prepared = suite.prepared(run)
            try:
                if prepared.case.error is None and prepared.params is not None:
                    suite.expected(prepared)
            except Unsupported:
                pass
            between = clock.seconds()
            suite.cells(run)
            after = clock.seconds()
            name = run.target.reference.framework
            place = ("runs", (run.target.name, name, run.mode, loss))
            seconds["exact", (loss, run.dtype)] += between - before
            seconds[place] += after - between - waiting.pop((name,), 0.0)
            runs[place] += 1
            before = after
    finally:
        suite.close()
    for (table, row), total in seconds.items():
        yield table, row, runs[table, row], max(total, 0.0)


def main(names: list[str]) -> int:
    """Measure the losses of these names, or all, and write the file after each."""
    path = room("conformance") / COSTS_FILE
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {name: [] for name in LISTS}
    versions = {name: framework_version(name) for name in frameworks()}
    kept["measured"] = {"command": COMMAND, **environment(versions, numeric_setups())}
    started = starts()
    kept["starts"] = [{"framework": row[0], "seconds": round(total, 2)} for row, total in started.items()]
    for loss in names or losses():
        for name in ("exact", "runs"):
            kept[name] = [row for row in kept[name] if row["loss"] != loss]
        with tempfile.TemporaryDirectory() as folder:
            os.environ["LOSSMARK_CACHE"] = folder
            for table, row, runs, total in of_loss(loss, started):
                counted = {"runs": runs} if runs else {}
                kept[table].append(dict(zip(LISTS[table], row, strict=True)) | counted | {"seconds": round(total, 3)})
        write(kept, path)
        print(loss, round(sum(row["seconds"] for row in kept["runs"] if row["loss"] == loss), 1), "s", flush=True)
    return 0


def write(kept: Mapping[str, Any], path: Path) -> None:
    """Write the tables, a row on each line, so that a change of one is a change of one line."""
    parts = [f' "measured": {json.dumps(kept["measured"], ensure_ascii=False)}']
    for name, keys in LISTS.items():
        rows = sorted(kept[name], key=lambda row: [row[key] for key in keys])
        parts.append(f' "{name}": [\n' + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n ]")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
