"""Results kept over time: one Parquet file per run, and the steps that a series of runs shows.

A run is made of whatever results it had: cells (``*.jsonl``), benchmarks (``*.parquet``), gates (``*.json``). Each
number is a point of a named series. Times, and what is made of times, belong to the machine they were measured on and
are never compared with another's; counts and shares of bounds belong to no machine. A file is written whole or not at
all, under a name that its content gives, so that several writers need no lock.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import math
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import LossmarkError
from .environment import machine
from .record import Results, read, write_parquet

SCHEMA = 1
HISTORY_FOLDER = Path(".lossmark/history")
LEAST_RUNS = 6
"""Runs below which nothing is said about steps."""
SHORTEST = 2
"""Runs that a level must last."""
PENALTY = 3.0
"""How much of the spread a step has to explain, in units of σ²·ln(runs): between 2 (BIC) and 4."""
SMALLEST = 0.01
"""A step of the logarithm, about 1 %, below which it is left out."""
BENCHMARK_FIGURES = ("seconds", "ratio", "limit", "peak", "traffic")
MACHINE_FIGURES = ("seconds", "ratio", "limit", "head / base")
"""Figures that are times, or made of times: they belong to the machine."""


@dataclass(frozen=True)
class KeptRun:
    """One run: when, of which commit, on which machine, and its points (columns ``series``, ``figure``, ``value``)."""

    name: str
    date: str
    commit: str
    machine: str
    environment: Mapping[str, Any]
    points: pd.DataFrame


@dataclass(frozen=True)
class Step:
    """A change of level of a series: before and after, and the run it came with."""

    run: str
    commit: str
    before: float
    after: float


@dataclass(frozen=True)
class Series:
    """One figure of one thing over the runs that can be compared: all, or those of one machine (empty: of all)."""

    name: str
    figure: str
    machine: str
    runs: tuple[str, ...]
    values: tuple[float, ...]
    steps: tuple[Step, ...]


def add(sources: Sequence[Path], folder: Path = HISTORY_FOLDER) -> Path:
    """Keep results as one run; returns its file. Raises :class:`LossmarkError` for files that are no results."""
    environments: list[Mapping[str, Any]] = []
    points: list[tuple[str, str, float]] = []
    for source in sources:
        environment, found = _read(source)
        environments.append(environment)
        points += found
    machines = {machine(environment) for environment in environments}
    if len(machines) > 1:
        raise LossmarkError("these results were measured on different machines: they are not one run")
    frame = pd.DataFrame(points, columns=["series", "figure", "value"]).dropna()
    if frame.empty:
        raise LossmarkError("there are no figures in these results")
    frame.attrs = {"schema": SCHEMA, "environment": dict(environments[0]), "commit": _commit()}
    return _written(frame, folder, str(environments[0].get("date", "")))


def _written(frame: pd.DataFrame, folder: Path, date: str) -> Path:
    content = frame.to_csv(index=False) + json.dumps(frame.attrs, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    stamp = "".join(char for char in date if char.isdigit())[:14]
    path = folder / f"run-{stamp}-{digest}.parquet"
    write_parquet(frame, path)
    return path


def _read(source: Path) -> tuple[Mapping[str, Any], list[tuple[str, str, float]]]:
    """The environment of a results file, and its points: series, figure, value."""
    if source.suffix == ".jsonl":
        results = read(source)
        if results.part:
            raise LossmarkError(f"{source}: is part {results.part} of a plan, `lossmark merge` joins the parts")
        if not results.complete:
            raise LossmarkError(f"{source}: the run did not come to its end")
        return results.header.get("environment", {}), list(_of_cells(results))
    try:
        if source.suffix == ".parquet":
            frame = pd.read_parquet(source)
            return frame.attrs["environment"], list(_of_benchmarks(frame))
        record = json.loads(source.read_text(encoding="utf-8"))
        return record["environment"], list(_of_gate(record))
    except LossmarkError:
        raise
    except Exception as error:
        raise LossmarkError(f"{source}: no results of cells, benchmarks or a gate: {error!r}") from None


def _of_cells(results: Results) -> Iterator[tuple[str, str, float]]:
    for (impl, loss, dtype), cells in results.frame().groupby(["impl", "loss", "dtype"]):
        name = f"{loss}/{impl}/{dtype}"
        for verdict, count in cells["verdict"].value_counts().items():
            yield name, f"cells {verdict}", float(count)
        used = pd.to_numeric(cells["budget_used"], errors="coerce").replace(np.inf, np.nan).max()
        yield name, "budget used", float(used)


def _of_benchmarks(frame: pd.DataFrame) -> Iterator[tuple[str, str, float]]:
    for _, row in frame.iterrows():
        size = f"{row.batch}x{row.width}"
        place = (row.loss, row.impl, row["mode"], size, row.passes, row["dtype"], row.allocator)
        for figure in BENCHMARK_FIGURES:
            yield "/".join(map(str, place)), figure, float(row[figure])


def _of_gate(record: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    for race in record["benchmarks"]:
        if race["ratio"]:
            yield race["name"], "head / base", float(race["ratio"]["median"])


def runs(folder: Path = HISTORY_FOLDER) -> list[KeptRun]:
    """The runs that are kept, oldest first; raises :class:`LossmarkError` for a file that is no run."""
    found = []
    for path in sorted(folder.glob("run-*.parquet")):
        try:
            frame = pd.read_parquet(path)
            schema, environment = frame.attrs["schema"], frame.attrs["environment"]
        except Exception as error:
            raise LossmarkError(f"{path}: no run of a history: {error!r}") from None
        if schema != SCHEMA:
            raise LossmarkError(f"{path}: has schema {schema}, this lossmark knows {SCHEMA}")
        date = str(environment.get("date", ""))
        found.append(KeptRun(path.stem, date, frame.attrs["commit"], machine(environment), environment, frame))
    return sorted(found, key=lambda run: (run.date, run.name))


def series(found: Sequence[KeptRun], wanted: Iterable[str] = ("*",)) -> list[Series]:
    """Every series whose name holds one of the ``wanted`` patterns (as of ``fnmatch``), with its steps."""
    patterns = [f"*{pattern}*" for pattern in wanted]
    table: dict[tuple[str, str, str], list[tuple[KeptRun, float]]] = {}
    for run in found:
        for name, figure, value in run.points.itertuples(index=False, name=None):
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                place = run.machine if figure in MACHINE_FIGURES else ""
                table.setdefault((name, figure, place), []).append((run, value))
    return [
        Series(
            name, figure, place, tuple(run.name for run, _ in points), tuple(value for _, value in points),
            tuple(_steps(points)),
        )
        for (name, figure, place), points in sorted(table.items())
    ]  # fmt: skip


def _steps(points: Sequence[tuple[KeptRun, float]]) -> Iterator[Step]:
    """Changes of level, by the exact search of Killick, Fearnhead & Eckley, JASA 107 (2012), on logarithms."""
    values = np.array([value for _, value in points], np.float64)
    if len(values) < LEAST_RUNS or not (values > 0).all():
        return
    import ruptures  # takes longer to load than the rest of lossmark, and is needed here only

    logs = np.log(values)
    noise = max(_noise(logs), SMALLEST / 4)
    search = ruptures.Pelt(model="l2", min_size=SHORTEST, jump=1).fit((logs / noise)[:, None])
    ends = search.predict(pen=PENALTY * math.log(len(logs)))
    levels = [float(np.median(part)) for part in np.split(logs, ends[:-1])]
    for end, before, after in zip(ends, levels, levels[1:], strict=False):
        if abs(after - before) > SMALLEST:
            yield Step(points[end][0].name, points[end][0].commit, math.exp(before), math.exp(after))


def _noise(logs: NDArray[np.float64]) -> float:
    """The standard deviation of a run, from the differences of neighbours, which steps hardly change."""
    return float(np.median(np.abs(np.diff(logs))) / (0.6745 * math.sqrt(2)))


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
