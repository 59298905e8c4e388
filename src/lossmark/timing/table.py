"""The results of benchmarks: a DataFrame in a Parquet file with the environment's fingerprint, and tables to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table as RichTable

from ..adapters.installed import framework_version, numeric_setups
from ..errors import LossmarkError
from ..results.environment import environment
from ..results.record import write_parquet
from .row import BenchRow

KEY = ["loss", "batch", "width", "dtype", "device", "passes", "allocator"]
"""What names the group that a row was measured in."""


class Table:
    """The rows measured so far, on disk after every group; a file is replaced as a whole or not at all.

    Raises :class:`LossmarkError` where ``resume`` finds rows of another machine or of other versions: times of
    different environments are never mixed.
    """

    def __init__(self, path: Path, frameworks: Iterable[str], resume: bool):
        self.path = path
        self.environment = environment({name: framework_version(name) for name in sorted(frameworks)}, numeric_setups())
        self.frame = pd.DataFrame(columns=[field.name for field in fields(BenchRow)])
        if resume and path.is_file():
            self.frame = pd.read_parquet(path)
            before = self.frame.attrs.get("environment", {})
            if _stable(before) != _stable(self.environment):
                raise LossmarkError(f"{path} was measured in another environment, start anew without --resume")

    @property
    def keys(self) -> set[tuple[object, ...]]:
        """The groups that the file has, by :data:`KEY`."""
        return set(self.frame[KEY].itertuples(index=False, name=None))

    def add(self, rows: Sequence[BenchRow]) -> None:
        """Append the rows of a group and write the file."""
        new = pd.DataFrame([asdict(row) for row in rows])
        self.frame = new if self.frame.empty else pd.concat([self.frame, new], ignore_index=True)
        self.frame.attrs["environment"] = self.environment
        write_parquet(self.frame, self.path)


def _stable(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "date"}


def tables(frame: pd.DataFrame) -> Iterator[RichTable]:
    """A table for each group of a frame of results, to be printed: plain and fast implementations side by side."""
    for key, rows in frame.groupby(KEY, sort=False):
        loss, batch, width, dtype, device, passes, allocator = key
        title = f"{loss}, B={batch}, D={width}, {dtype}, {device}, {passes}, allocator {allocator}"
        result = RichTable(
            "implementation", "mode", "time", "plain / this", "of the limit", "cores", "faults", "peak / results",
            "moved / least", "first call", "", title=title, title_justify="left",
        )  # fmt: skip
        for _, row in rows.iterrows():
            result.add_row(*_cells(row))
        yield result


def _cells(row: pd.Series) -> list[str]:
    numbers = [f"{value:.1f}" if value == value else "–" for value in (row.cores, row.faults)]
    shown = figures(row)
    first = [shown[name] for name in ("impl", "mode", "time", "ratio", "limit")]
    return [*first, *numbers, shown["memory"], shown["traffic"], time_text(row.first_call), row.reason]


def figures(row: pd.Series) -> dict[str, str]:
    """The figures of a row as texts, for the terminal and for the report."""
    known = row.ratio == row.ratio
    return {
        "impl": row.impl, "mode": row["mode"], "time": time_text(row.seconds), "reason": row.reason,
        "ratio": f"{row.ratio:.2f} ({row.ratio_low:.2f} to {row.ratio_high:.2f})" if known else "–",
        "limit": f"{row.limit:.0%}" if row.limit == row.limit else "–",
        "memory": f"{row.peak / row.results:.2f}" if row.peak == row.peak and row.results else "–",
        "traffic": f"{row.traffic:.1f}" if row.traffic == row.traffic else "–",
    }  # fmt: skip


def time_text(seconds: float) -> str:
    """A time in milliseconds or microseconds; a dash where there is none."""
    if seconds != seconds:
        return "–"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"
