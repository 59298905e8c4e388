"""Known failures as data: ``conformance/expected.yaml`` or ``--expected FILE``.

An entry turns matching failures within its range into ``deviates``. It fails the run when a failure is worse than
its range, when nothing fails any more, and when it matches no cell at all.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .errors import SpecError
from .results import Cell
from .spec import yaml

PATTERNS = ("impl", "loss", "case", "dtype", "mode", "check")


@dataclass(frozen=True)
class Entry:
    """One known failure: patterns of the cells it covers, the range of their errors, and why."""

    patterns: Mapping[str, str]
    low: float
    high: float
    reason: str
    url: str
    place: str

    def covers(self, cell: Cell) -> bool:
        return all(fnmatch.fnmatchcase(str(getattr(cell, key)), pattern) for key, pattern in self.patterns.items())


def read(path: Path) -> list[Entry]:
    """The entries of a file; raises :class:`SpecError`."""
    document = yaml.read(path)
    if not isinstance(document.data, list):
        raise SpecError("expected a list of entries", document.place(()))
    return [_entry(item, document, index) for index, item in enumerate(document.data)]


def _entry(item: Any, document: yaml.Document, index: int) -> Entry:
    place = document.place((index,))
    if not isinstance(item, dict):
        raise SpecError(f"expected an entry with keys, found {item!r}", place)
    known = (*PATTERNS, "ulp", "reason", "url")
    for key in item:
        if key not in known:
            raise SpecError(f"unknown key {key!r}, expected one of {', '.join(known)}", document.place((index, key)))
    if not item.get("reason"):
        raise SpecError("missing key reason", place)
    low, high = item.get("ulp", [0, math.inf])
    patterns = {key: str(item.get(key, "*")) for key in PATTERNS}
    return Entry(patterns, float(low), float(high), str(item["reason"]), str(item.get("url", "")), str(place))


def apply(cell: Cell, entries: Sequence[Entry]) -> Cell:
    """The cell, ``deviates`` where an entry explains its failure, with a note where it is worse than the entry says."""
    if cell.verdict not in ("fail", "error"):
        return cell
    for entry in entries:
        if entry.covers(cell):
            ulp = math.inf if cell.error_ulp is None else cell.error_ulp
            if entry.low <= ulp <= entry.high:
                return replace(cell, verdict="deviates", detail=f"expected: {entry.reason} | {cell.detail}"[:1000])
            worse = f"worse than expected ({ulp:g} ulp, {entry.place} says {entry.low:g} to {entry.high:g})"
            return replace(cell, detail=f"{worse}: {cell.detail}"[:1000])
    return cell


def stale(entries: Sequence[Entry], cells: Iterable[Mapping[str, Any]], whole: bool) -> list[str]:
    """Complaints about entries that explain nothing; those without any cell only if the ``whole`` suite ran."""
    records = [Cell(**{key: value for key, value in cell.items() if key != "kind"}) for cell in cells]
    complaints = []
    for entry in entries:
        covered = [cell for cell in records if entry.covers(cell) and cell.verdict != "not-run"]
        if not covered and whole:
            complaints.append(f"{entry.place}: matches no cell of this run: {entry.reason}")
        elif covered and all(cell.verdict in ("pass", "unsupported") for cell in covered):
            complaints.append(f"{entry.place}: no longer needed, every cell passes: {entry.reason}")
    return complaints
