"""A results file: JSON lines that begin with a header, hold a cell each, and end with a footer.

A file without footer is of a run that died; readers say so. Numbers that JSON cannot write are strings.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

from ..errors import LossmarkError
from ..version import __version__
from .cell import NUMBERS, VERDICTS, Cell


class ResultsError(LossmarkError):
    """A results file cannot be read."""


@dataclass(frozen=True)
class Results:
    """A results file: its header, its cells and its footer (None: the run died)."""

    header: Mapping[str, Any]
    cells: tuple[Cell, ...]
    footer: Mapping[str, Any] | None
    source: str = ""
    differences: tuple[Mapping[str, Any], ...] = ()
    """Where the runs that were merged into this file do not agree."""

    @property
    def counts(self) -> Counter[str]:
        """How many cells have each verdict."""
        return Counter(cell.verdict for cell in self.cells)

    @property
    def complete(self) -> bool:
        """Whether the run was of a whole plan, came to its end, and every planned cell has its verdict."""
        return self.footer is not None and not self.part and len(self.cells) == self.header.get("planned")

    @property
    def part(self) -> str:
        """Which part of a plan this is, as ``2/4``; empty for a whole one."""
        return part_in(self.header)

    def frame(self) -> pd.DataFrame:
        """The cells as a table, one row each."""
        import pandas as pd  # which a run that only writes results does not need

        return pd.DataFrame([vars(cell) for cell in self.cells])


@dataclass
class Recorder:
    """Writes a results file line by line."""

    stream: IO[str]
    counts: Counter[str] = field(default_factory=Counter)

    def header(self, planned: int, environment: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> None:
        """The first line: how many cells are planned, what the results depend on, and further ``facts`` by key."""
        first = {"kind": "header", "lossmark": __version__, "planned": planned, "environment": environment}
        self._line(first | dict(facts or {}))

    def cells(self, cells: Iterable[Mapping[str, Any]]) -> None:
        """A line for each cell, given as :meth:`Cell.record` gives it."""
        for cell in cells:
            self.counts[cell["verdict"]] += 1
            self._line(cell)

    def footer(self, facts: Mapping[str, Any] | None = None) -> None:
        """The last line, which says that the run came to its end, with further ``facts`` by key."""
        counts = {verdict: self.counts[verdict] for verdict in VERDICTS}
        self._line({"kind": "footer", "counts": counts} | dict(facts or {}))
        self.stream.flush()

    def _line(self, record: Mapping[str, Any]) -> None:
        self.stream.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def read(path: Path) -> Results:
    """Read a results file, also one without footer; raises :class:`ResultsError` for anything else."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path}: cannot be read: {error}") from None
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if number == len(lines):
                break  # the run died while it wrote this line
            raise ResultsError(f"{path}:{number}: not a JSON line") from None
    if not records or not isinstance(records[0], dict) or records[0].get("kind") != "header":
        raise ResultsError(f"{path}: no header, this is not a lossmark results file")
    try:
        cells = tuple(cell_of(record) for record in records[1:] if record["kind"] == "cell")
        differences = tuple(_difference(record) for record in records[1:] if record["kind"] == "difference")
        part_in(records[0])
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{path}: a cell is malformed: {error!r}") from None
    footer = records[-1] if records[-1].get("kind") == "footer" else None
    return Results(records[0], cells, footer, str(path), differences)


def _difference(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What machines found of a cell; raises for a line that lacks a key."""
    for key in ("case", "impl", "device", "dtype", "mode", "check", "differs"):
        str(record[key])
    for found in record["found"]:
        found["part"], found["machine"], found["verdict"], found["error_ulp"]
    return record


def part_in(header: Mapping[str, Any]) -> str:
    """Which part of a plan a header is of, as ``2/4``; empty for a whole one.

    Raises KeyError, TypeError or ValueError for a part that is malformed.
    """
    shard = header.get("shard")
    return "" if shard is None else f"{int(shard['index'])}/{int(shard['of'])}"


def cell_of(record: Mapping[str, Any]) -> Cell:
    """The cell of a line, with its non-finite numbers as numbers; optional keys may be absent.

    Raises KeyError, TypeError or ValueError for a line that holds no cell.
    """
    values = {key: value for key, value in record.items() if key != "kind"}
    for key in ("error_ulp", "budget_used"):
        if isinstance(values.get(key), str):
            values[key] = float(values[key])
    if values.get("worst") is not None:
        values["worst"] = _worst(values["worst"])
    if values["verdict"] not in VERDICTS:
        raise ValueError(f"verdict {values['verdict']!r}")
    return Cell(**values)


def _worst(record: Mapping[str, Any]) -> dict[str, Any]:
    """The worst element of a line, with its non-finite numbers as numbers; raises for one that lacks a key."""
    found = {"label": str(record["label"]), "index": [int(place) for place in record["index"]]}
    return dict(record) | found | {key: float(record[key]) for key in NUMBERS}


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as a whole or not at all; a file that is there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        frame.to_parquet(draft, index=False)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
