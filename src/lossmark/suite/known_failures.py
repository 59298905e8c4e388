"""Known failures as data: ``conformance/expected.yaml`` or ``--expected FILE``, and declared ranges of errors.

An entry turns matching failures within its range into ``deviates``. It fails the run, each time with words of its
own, when a failure is worse or better than its range, when nothing fails any more, when it matches no cell at all,
and when it has expired.
"""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from ..adapters.deviation import expired, observed
from ..checks.run import Run
from ..errors import SpecError
from ..results.cell import Cell
from ..results.sight import SEEN, Sight
from ..specification import document as yaml

PATTERNS = ("impl", "loss", "case", "dtype", "mode", "check")
EXPECTED = "expected: "

Scope = Mapping[str, tuple[Collection[str], Collection[str]]]
"""For each pattern that the options of a run narrow: the values that are chosen, and all that exist."""


@dataclass(frozen=True)
class KnownFailure:
    """One known failure: patterns of the cells it covers, the range of their errors in ulp, and why."""

    patterns: Mapping[str, str]
    low: float
    high: float
    reason: str
    place: str
    url: str = ""
    until: str = ""

    def covers(self, cell: Cell) -> bool:
        """Whether the cell matches every pattern."""
        return all(_matches(pattern, str(getattr(cell, key))) for key, pattern in self.patterns.items())

    def within(self, scope: Scope) -> bool:
        """Whether the options of the run leave in what the entry is about; a name that nobody has is never left out."""
        for key, (chosen, known) in scope.items():
            pattern = self.patterns[key]
            if any(_matches(pattern, x) for x in known) and not any(_matches(pattern, x) for x in chosen):
                return False
        return True

    def concerns(self, cell: Cell) -> bool:
        """Whether the cell fails, or would without the entry."""
        explained = cell.verdict == "deviates" and cell.detail.startswith(f"{EXPECTED}{self.reason}"[:1000])
        return cell.verdict in ("fail", "error") or explained

    def objection(self, cell: Cell) -> str:
        """Why the entry does not explain the failure of a cell that it covers; empty if it does."""
        ulp = math.inf if cell.error_ulp is None else cell.error_ulp
        if expired(self.until):
            return f"{self.place} expired on {self.until}"
        if self.low <= ulp <= self.high:
            return ""
        which = "worse" if ulp > self.high else "better"
        return f"{which} than expected ({ulp:g} ulp, {self.place} says {self.low:g} to {self.high:g})"


def _matches(pattern: str, value: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern)


class Item(BaseModel):
    """An entry as it is written; ``ulp`` is [lowest, highest], ``until`` the last day on which it holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    impl: str = "*"
    loss: str = "*"
    case: str = "*"
    dtype: str = "*"
    mode: str = "*"
    check: str = "*"
    ulp: Annotated[tuple[float, float], AfterValidator(observed)] = (0.0, math.inf)
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    url: str = ""
    until: date | None = None

    def entry(self, place: str) -> KnownFailure:
        """The known failure, written at ``place``."""
        until = "" if self.until is None else self.until.isoformat()
        patterns = {key: getattr(self, key) for key in PATTERNS}
        return KnownFailure(patterns, *self.ulp, self.reason, place, self.url, until)


def read(path: Path) -> list[KnownFailure]:
    """The entries of a file; raises :class:`SpecError`."""
    document = yaml.read(path)
    try:
        items = TypeAdapter(list[Item]).validate_python(document.data)
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(f"{first['msg']}, found {first['input']!r}", document.place(first["loc"])) from None
    return [item.entry(str(document.place((index,)))) for index, item in enumerate(items)]


def declared(runs: Iterable[Run]) -> Iterator[KnownFailure]:
    """The ranges of errors that implementations declare for their losses."""
    seen = set()
    for run in runs:
        key = run.target.name, run.loss.id
        if key not in seen and run.deviation is not None and run.deviation.ulp is not None:
            seen.add(key)
            deviation = run.deviation
            patterns = dict.fromkeys(PATTERNS, "*") | {"impl": glob.escape(run.target.name), "loss": run.loss.id}
            assert deviation.ulp is not None
            place = f"the Deviation of {run.target.name} for {run.loss.id}"
            yield KnownFailure(patterns, *deviation.ulp, deviation.why, place, deviation.url, deviation.until)


def apply(cell: Cell, entries: Sequence[KnownFailure]) -> Cell:
    """The cell, ``deviates`` where an entry explains its failure, else with what the first entry objects."""
    if cell.verdict not in ("fail", "error"):
        return cell
    objections = []
    for entry in entries:
        if entry.covers(cell):
            objection = entry.objection(cell)
            if not objection:
                return replace(cell, verdict="deviates", detail=f"{EXPECTED}{entry.reason} | {cell.detail}"[:1000])
            objections.append(objection)
    return replace(cell, detail=f"{objections[0]}: {cell.detail}"[:1000]) if objections else cell


class Explained:
    """What the entries have explained of a run so far."""

    def __init__(self, entries: Sequence[KnownFailure]):
        self._entries = entries
        self._covering, self._judging, self._concerned = set[int](), set[int](), set[int]()

    def see(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take account of cells, as they are recorded."""
        for record in records if self._entries else ():
            cell = Cell(**{key: value for key, value in record.items() if key != "kind"})
            covering = {number for number, entry in enumerate(self._entries) if entry.covers(cell)}
            self._covering |= covering
            if cell.verdict != "not-run":
                self._judging |= covering
                self._concerned |= {number for number in covering if self._entries[number].concerns(cell)}

    def sights(self, scope: Callable[[], Scope]) -> list[Sight]:
        """What was seen of each entry.

        What the options of the run leave in is only asked for where it matters: it takes reading every spec.
        """
        found = []
        for number, entry in enumerate(self._entries):
            steps = [number in seen for seen in (self._covering, self._judging, self._concerned)]
            seen = SEEN[1 + sum(steps)] if any(steps) or entry.within(scope()) else SEEN[0]
            found.append(Sight(entry.place, entry.reason, seen, entry.until if expired(entry.until) else ""))
        return found


def entries_digest(entries: Iterable[KnownFailure]) -> str:
    """Names what entries explain, wherever they stand, in 16 hexadecimal digits."""
    said = [(sorted(x.patterns.items()), x.low, x.high, x.reason, x.until) for x in entries]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]
