"""What a report is made of: runs of cells, benchmarks and gates, and whether together they can be believed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from lossmark import __version__
from lossmark.results.cell import VERDICTS, Cell
from lossmark.results.environment import machine
from lossmark.results.record import Results, ResultsError, read
from lossmark.timing.row import BenchRow


@dataclass
class Inputs:
    """The results that the report was given: runs of cells, one table of benchmarks, records of gates."""

    runs: list[Results] = field(default_factory=list)
    benchmarks: pd.DataFrame | None = None
    gates: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def cells(self) -> list[Cell]:
        """The cells of all runs, one run after the other."""
        return [cell for run in self.runs for cell in run.cells]

    @property
    def differences(self) -> list[Mapping[str, Any]]:
        """The cells on which machines do not agree, those with different verdicts first."""
        found = [each for run in self.runs for each in run.differences]
        return sorted(found, key=lambda each: each["differs"] != "verdict")

    @property
    def counts(self) -> dict[str, int]:
        """How many cells have each verdict, in the order of verdicts."""
        found = Counter(cell.verdict for cell in self.cells)
        return {verdict: found[verdict] for verdict in VERDICTS}


def gathered(sources: Sequence[Path]) -> Inputs:
    """Read cells (``*.jsonl``), benchmarks (``*.parquet``) and gates (``*.json``); raises :class:`ResultsError`."""
    inputs, frames = Inputs(), []
    for source in sources:
        if source.suffix == ".parquet":
            frames.append(_benchmarks(source))
        elif source.suffix == ".json":
            inputs.gates.append(_gate(source))
        else:
            inputs.runs.append(read(source))
    if frames:
        if len({machine(frame.attrs["environment"]) for frame in frames}) > 1:
            raise ResultsError("benchmarks of different machines are not shown together: give those of one machine")
        inputs.benchmarks = pd.concat(frames, ignore_index=True)
        inputs.benchmarks.attrs = frames[0].attrs
    return inputs


def _benchmarks(source: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(source)
        frame[[field.name for field in fields(BenchRow)]], frame.attrs["environment"]
    except Exception as error:
        raise ResultsError(f"{source}: no results of benchmarks: {error}") from None
    return frame


def _gate(source: Path) -> Mapping[str, Any]:
    try:
        record: Mapping[str, Any] = json.loads(source.read_text(encoding="utf-8"))
        record["verdict"], record["findings"], record["benchmarks"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{source}: no outcome of a gate: {error!r}") from None
    return record


def banner(inputs: Inputs) -> dict[str, str]:
    """The verdict of the whole, as ``kind`` (good, bad), ``mark`` and ``text``.

    Only complete runs of one version without failures, and without repeated cells, are good.
    """
    counts, runs = inputs.counts, inputs.runs
    dead = [run.source for run in runs if run.footer is None]
    versions = sorted({str(run.header.get("lossmark")) for run in runs} | {__version__})
    wrong = counts["fail"] + counts["error"]
    if dead:
        return _bad(f"incomplete: the run died before its end ({', '.join(dead)})")
    parts = [f"{run.part} ({run.source})" for run in runs if run.part]
    if parts:
        return _bad(f"incomplete: parts of a plan, which `lossmark merge` joins: {', '.join(parts)}")
    if wrong:
        return _bad(f"{wrong} {'cell does' if wrong == 1 else 'cells do'} not conform")
    if not all(run.complete for run in runs) or not inputs.cells:
        return _bad("incomplete: cells are missing from the results")
    if len(versions) > 1:
        return _bad(f"results of different versions of lossmark: {', '.join(versions)}")
    if _repeated(inputs.cells):
        return _bad("the same cells come from several runs, which do not agree or were added twice")
    disagreed = sum(found["differs"] == "verdict" for found in inputs.differences)
    if disagreed:
        return _bad(f"machines do not agree on the verdict of {disagreed} {'cell' if disagreed == 1 else 'cells'}")
    if not counts["pass"]:
        return _bad("nothing was judged")
    return {"kind": "good", "mark": "✓", "text": "every judged cell conforms"}


def _bad(text: str) -> dict[str, str]:
    return {"kind": "bad", "mark": "✗", "text": text}


def _repeated(cells: Sequence[Cell]) -> bool:
    return len({key(cell) for cell in cells}) < len(cells)


def key(cell: Cell) -> str:
    """The name of a cell, which links hold too."""
    return "|".join((cell.impl, cell.device, cell.dtype, cell.mode, cell.case, cell.check))
