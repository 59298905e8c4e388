"""Cells and their record: JSON lines that begin with a header and end with a footer.

A file without footer is of a run that died; readers say so. Numbers that JSON cannot write are strings.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Literal

import pandas as pd

from ..errors import LossmarkError

Verdict = Literal["pass", "deviates", "fail", "error", "unsupported", "not-run"]
VERDICTS: tuple[Verdict, ...] = ("pass", "deviates", "fail", "error", "unsupported", "not-run")


class ResultsError(LossmarkError):
    """A results file cannot be read."""


@dataclass(frozen=True)
class Cell:
    """One check of one implementation on one case: the unit of every report. ``error_ulp`` is None if not finite."""

    impl: str
    framework: str
    device: str
    dtype: str
    mode: str
    loss: str
    case: str
    check: str
    verdict: Verdict
    error_ulp: float | None = None
    budget_used: float | None = None
    detail: str = ""

    def record(self) -> dict[str, Any]:
        """The cell as a JSON object."""
        return {"kind": "cell"} | {key: _plain(value) for key, value in vars(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value).replace("+", "")
    return value


@dataclass(frozen=True)
class Results:
    """A results file: its header, its cells and its footer (None: the run died)."""

    header: Mapping[str, Any]
    cells: tuple[Cell, ...]
    footer: Mapping[str, Any] | None
    source: str = ""

    @property
    def counts(self) -> Counter[str]:
        return Counter(cell.verdict for cell in self.cells)

    @property
    def complete(self) -> bool:
        """Whether the run came to its end and every planned cell has its verdict."""
        return self.footer is not None and len(self.cells) == self.header.get("planned")

    def frame(self) -> pd.DataFrame:
        """The cells as a table, one row each."""
        return pd.DataFrame([vars(cell) for cell in self.cells])


@dataclass
class Recorder:
    """Writes a results file line by line."""

    stream: IO[str]
    counts: Counter[str] = field(default_factory=Counter)

    def header(self, planned: int, environment: Mapping[str, Any]) -> None:
        from .. import __version__

        self._line({"kind": "header", "lossmark": __version__, "planned": planned, "environment": environment})

    def cells(self, cells: Iterable[Mapping[str, Any]]) -> None:
        for cell in cells:
            self.counts[cell["verdict"]] += 1
            self._line(cell)

    def footer(self) -> None:
        self._line({"kind": "footer", "counts": {verdict: self.counts[verdict] for verdict in VERDICTS}})
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
        cells = tuple(_cell(record) for record in records[1:] if record["kind"] == "cell")
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{path}: a cell is malformed: {error!r}") from None
    footer = records[-1] if records[-1].get("kind") == "footer" else None
    return Results(records[0], cells, footer, str(path))


def _cell(record: Mapping[str, Any]) -> Cell:
    values = {key: value for key, value in record.items() if key != "kind"}
    for key in ("error_ulp", "budget_used"):
        if isinstance(values.get(key), str):
            values[key] = float(values[key])
    if values["verdict"] not in VERDICTS:
        raise ValueError(f"verdict {values['verdict']!r}")
    return Cell(**values)


def environment(frameworks: Mapping[str, str | None]) -> dict[str, Any]:
    """What the results depend on: machine, versions, and the numeric set-up that every worker makes."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "frameworks": {name: version or "not installed" for name, version in frameworks.items()},
        "packages": {name: metadata.version(name) for name in ("numpy", "ml_dtypes", "python-flint", "pytest")},
        "numeric set-up": {
            "torch": "TF32 off, float32_matmul_precision highest",
            "tensorflow": "TF32 off",
            "jax": "x64 on, default_matmul_precision highest",
        },
    }


def machine(environment: Mapping[str, Any]) -> str:
    """A name for what times depend on: times of different machines, or versions, are never laid side by side."""
    named = {name: environment.get(name) for name in ("cpu", "cores", "platform", "python", "frameworks")}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:8]


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as a whole or not at all; a file that is there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        frame.to_parquet(draft, index=False)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
