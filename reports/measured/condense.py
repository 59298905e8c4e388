"""A few tables made of what a command has written, per subject."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from lossmark.dtypes import DTYPES
from lossmark.errors import LossmarkError
from lossmark.results.cell import Cell
from lossmark.results.environment import machine
from lossmark.results.record import Results
from lossmark.results.record import read as read_cells
from lossmark.sharpness import soak as soaked

from . import data

Environment = Mapping[str, Any] | None
"""What the measuring command wrote about its machine; None where it writes nothing of the kind."""
Condensed = tuple[Environment, data.Strict]
LIBRARIES = ("keras-rs", "optax")
"""Peers that are installed; the other ones are formulas that were written down from a library."""
JUDGED = ("value", "gradient")
ONE_MACHINE = ("cpu", "cores", "platform", "python")
"""What files that are kept together have in common; each names only the frameworks that it timed."""


def conformance(files: Sequence[Path]) -> Condensed:
    """One complete ``results.jsonl``: counts, why cells were not judged, shares of the bound."""
    results = _complete(files)
    why = Counter((cell.verdict, cell.detail) for cell in results.cells if cell.verdict in ("not-run", "unsupported"))
    reasons = data.Table(columns=["verdict", "why", "cells"], rows=[[*each, count] for each, count in why.items()])
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in results.cells:
        groups.setdefault((cell.loss, cell.impl, cell.dtype), []).append(cell)
    impls = list(dict.fromkeys(cell.impl for cell in results.cells))
    order = lambda place: (place[0], impls.index(place[1]), list(DTYPES).index(place[2]))
    rows = [[*place, len(groups[place]), *_shares(groups[place])] for place in sorted(groups, key=order)]
    counts = dict(Counter(cell.verdict for cell in results.cells))
    return results.header["environment"], data.Conformance(
        counts=counts, reasons=reasons, shares=data.Table(columns=list(data.SHARES), rows=rows)
    )


def _shares(cells: Sequence[Cell]) -> list[data.Value]:
    """How many pass; of values and gradients the median distance in ulp and the largest share of the bound."""
    compared = [cell for cell in cells if cell.check in JUDGED]
    errors = [cell.error_ulp for cell in compared if cell.error_ulp is not None]
    used = [cell.budget_used for cell in compared if cell.budget_used is not None]
    median = float(pd.Series(errors, dtype=float).median())
    return [sum(cell.verdict == "pass" for cell in cells), _short(median), _short(max(used, default=math.nan))]


def sharpness(files: Sequence[Path]) -> Condensed:
    """The file of ``lossmark mutants --results``."""
    found = json.loads(_one(files).read_text(encoding="utf-8"))
    return found["environment"], data.Sharpness(**{name: found[name] for name in data.Sharpness.model_fields})


def right(files: Sequence[Path]) -> Condensed:
    """The file of ``lossmark mutants --right --results``."""
    found = json.loads(_one(files).read_text(encoding="utf-8"))
    return found["environment"], data.Right(**{name: found[name] for name in data.Right.model_fields})


def soak(files: Sequence[Path]) -> Condensed:
    """The file that the soak appends to."""
    cells = soaked.recall(_one(files))
    table = soaked.budgets(cells)
    rows = [
        [*place, int(row.comparisons), _short(row["median"]), _short(row.largest), int(row.failed)]
        for place, row in sorted(table.iterrows(), key=lambda each: (each[0][0], list(DTYPES).index(each[0][1])))
    ]
    return None, data.Soak(
        seeds=sorted(map(int, cells.seed.unique())),
        implementations=int(cells.impl.nunique()),
        comparisons=int(cells.comparisons.sum()),
        failed=int(cells.verdict.isin(["fail", "error"]).sum()),
        fresh=data.Table(columns=list(data.FRESH), rows=rows),
    )


def speed(files: Sequence[Path]) -> Condensed:
    """One or several files of ``lossmark bench`` from one machine."""
    environment, times = _times(files)
    return environment, data.Speed(times=times)


def sizes(files: Sequence[Path]) -> Condensed:
    """Like :func:`speed`, with fewer columns."""
    environment, times = _times(files, data.RATIOS)
    return environment, data.Sizes(times=times)


def peers(files: Sequence[Path]) -> Condensed:
    """Files of ``lossmark bench``, and one of a conformance run of the peers (``.jsonl``)."""
    cells = [file for file in files if file.suffix == ".jsonl"]
    environment, times = _times([file for file in files if file.suffix == ".parquet"])
    counts: dict[str, Counter[str]] = {}
    for cell in _complete(cells).cells:
        counts.setdefault(cell.impl, Counter())[cell.verdict] += 1
    rows = [
        [impl, sum(c.values()), c["pass"] + c["deviates"], c["fail"] + c["error"], c["unsupported"] + c["not-run"]]
        for impl, c in counts.items()
    ]
    verdicts = data.Table(columns=list(data.VERDICTS_OF_A_PEER), rows=rows)
    libraries = {name: metadata.version(name) for name in LIBRARIES}
    environment = environment | {"packages": environment["packages"] | libraries}
    return environment, data.Peers(times=times, verdicts=verdicts)


def _times(files: Sequence[Path], columns: Sequence[str] = data.TIMES) -> tuple[Mapping[str, Any], data.Table]:
    frames = [pd.read_parquet(file) for file in files]
    found = [frame.attrs["environment"] for frame in frames]
    if len({machine({name: each[name] for name in ONE_MACHINE}) for each in found}) != 1:
        raise LossmarkError(f"expected times of one machine, got those of {len(found)} files that differ in it")
    versions = {name: version for each in found for name, version in each["frameworks"].items()}
    environment = found[-1] | {"frameworks": versions}
    rows = [[_short(row[name]) for name in columns] for frame in frames for _, row in frame.iterrows()]
    return environment, data.Table(columns=list(columns), rows=rows)


def gate(files: Sequence[Path]) -> Condensed:
    """The lines that ``tests/gate_power.py`` writes."""
    found = list(_lines(files))
    rates = [_picked(line, data.RATES) for line in found if line["kind"] == "rates"]
    memory = [_picked(line, data.MEMORY_SEEN) for line in found if line["kind"] == "memory"]
    return None, data.Gate(
        rates=data.Table(columns=list(data.RATES), rows=rates),
        memory=data.Table(columns=list(data.MEMORY_SEEN), rows=memory),
    )


def compare(files: Sequence[Path]) -> Condensed:
    """The lines that ``tests/compare_repeats.py`` writes."""
    rows = [_picked(line, data.REPEATS) for line in _lines(files)]
    return None, data.Repeats(repeats=data.Table(columns=list(data.REPEATS), rows=rows))


CONDENSE: Mapping[str, Callable[[Sequence[Path]], Condensed]] = {
    "conformance": conformance, "sharpness": sharpness, "right": right, "soak": soak, "speed": speed, "sizes": sizes,
    "memory": speed, "peers": peers, "gate": gate, "compare": compare,
}  # fmt: skip
"""By subject; each takes the files that the subject's commands write."""


def _picked(line: Mapping[str, Any], columns: Sequence[str]) -> list[data.Value]:
    return [line[name] for name in columns]


def _lines(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for file in files:
        yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())


def _complete(files: Sequence[Path]) -> Results:
    results = read_cells(_one(files))
    if not results.complete:
        raise LossmarkError(f"{results.source}: the run did not come to its end, nothing is kept of it")
    return results


def _one(files: Sequence[Path]) -> Path:
    if len(files) != 1:
        raise LossmarkError(f"expected one file, got {len(files)}")
    return files[0]


def _short(value: Any) -> data.Value:
    """A number to four digits, None where there is none; anything else as Python has it."""
    if isinstance(value, str) or value is None:
        return value
    if float(value).is_integer():
        return int(value)
    return float(f"{value:.4g}") if math.isfinite(value) else None
