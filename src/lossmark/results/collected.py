"""Results of other repositories, joined at one version of the specs.

Strangers have written them, so of each file only this is kept: counts, shares of bounds and distances by
implementation, device, mode, dtype and loss, the versions of frameworks, and the date. No detail, no source and no path
goes any further. What cannot be believed is withheld, with the reason.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from .cell import VERDICTS, Verdict
from .fetched import Address, FetchError, addresses, fetch
from .record import ResultsError
from .stream import scan

MOST_ROWS = 5000
"""Rows that a report may fill: implementations, devices, modes, dtypes and losses multiply."""
JUDGED = ("pass", "deviates", "fail")

_Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+:()\[\]-]*$")]
"""A name that is shown: nothing that could be a path of a machine, or markup."""
_Number = float | Literal["inf", "-inf", "nan"] | None


class _StrangersEnvironment(BaseModel):
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d(T[0-9:.+-]{5,20})?$")]
    frameworks: Annotated[dict[_Name, _Name], Field(max_length=20)]


class _StrangersHeader(BaseModel):
    lossmark: _Name
    planned: Annotated[int, Field(ge=1, le=10**8)]
    specs: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    environment: _StrangersEnvironment
    shard: None = None


class _StrangersCell(BaseModel):
    model_config = ConfigDict(strict=True)

    impl: _Name
    framework: _Name
    device: _Name
    dtype: _Name
    mode: _Name
    loss: _Name
    case: Annotated[str, Field(max_length=200)]
    check: _Name
    verdict: Verdict
    error_ulp: _Number = None
    budget_used: _Number = None


@dataclass(frozen=True, order=True)
class TallyKey:
    """What cells of a report are counted by."""

    loss: str
    impl: str
    framework: str
    device: str
    mode: str
    dtype: str


@dataclass
class Tally:
    """What the cells of a setting come to: verdicts, the largest share of a bound and finite distance in ulp."""

    counts: Counter[str] = field(default_factory=Counter)
    budget_used: float = 0.0
    error_ulp: float = 0.0

    @property
    def judged(self) -> int:
        """How many cells have a verdict on the implementation."""
        return sum(self.counts[verdict] for verdict in JUDGED) + self.counts["error"]

    @property
    def conforming(self) -> int:
        """How many conform, as declared or as they are."""
        return self.counts["pass"] + self.counts["deviates"]


@dataclass(frozen=True)
class Standing:
    """A report that is shown: what it is of, when and with what it was made, and its tallies."""

    name: str
    version: str
    lossmark: str
    date: str
    frameworks: dict[str, str]
    tallies: dict[TallyKey, Tally]


@dataclass(frozen=True)
class Withheld:
    """A report that is not shown, and why not."""

    name: str
    version: str
    reason: str


@dataclass(frozen=True)
class Collected:
    """All reports at one version of the specs: those shown in order of name and date, and those withheld."""

    specs: str
    standings: tuple[Standing, ...]
    withheld: tuple[Withheld, ...]


def collect(source: Path, specs: str, losses: Collection[str]) -> Collected:
    """Join the reports of a folder or list that were judged by the ``specs`` of this digest, about these ``losses``.

    Raises :class:`lossmark.errors.LossmarkError` for a source that names no reports.
    """
    standings, withheld = [], []
    seen: set[tuple[str, str]] = set()
    for address in addresses(source):
        try:
            if (address.name, address.version) in seen:
                raise ResultsError("another report has the same name and version")
            seen.add((address.name, address.version))
            with tempfile.TemporaryDirectory(prefix="lossmark-collect-") as folder:
                standings.append(_standing(address, fetch(address, Path(folder)), specs, losses))
        except (FetchError, ResultsError) as error:
            withheld.append(Withheld(address.name, address.version, str(error)))
    standings.sort(key=lambda one: (one.name, one.date, one.version))
    return Collected(specs, tuple(standings), tuple(withheld))


def _standing(address: Address, path: Path, specs: str, losses: Collection[str]) -> Standing:
    """What a file says; raises :class:`ResultsError`, in words without a path, where it cannot be believed."""
    try:
        records = (record for record, _ in scan(path))
        header = _header(next(records), specs)
        tallies: dict[TallyKey, Tally] = {}
        cells, ended = 0, False
        for record in records:
            if ended:
                raise ResultsError("goes on after its footer")
            if record["kind"] == "footer":
                ended = True
            elif record["kind"] == "cell":
                cells += 1
                _count(_CELL.validate_python(record), tallies, losses)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ResultsError(f"is malformed: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except ResultsError as error:
        raise ResultsError(re.sub(r"^:?(?=\d)", "line ", str(error).removeprefix(str(path)).lstrip(": "))) from None
    for complaint in _complaints(header, tallies, cells, ended):
        raise ResultsError(complaint)
    made_in = header.environment
    return Standing(
        address.name, address.version, header.lossmark, made_in.date, dict(made_in.frameworks),
        dict(sorted(tallies.items())),
    )  # fmt: skip


_CELL = TypeAdapter(_StrangersCell)


def _header(record: object, specs: str) -> _StrangersHeader:
    if isinstance(record, dict) and record.get("shard") is not None:
        raise ResultsError("is a part of a plan: `lossmark merge` joins the parts")
    if isinstance(record, dict) and "specs" not in record:
        raise ResultsError("does not say by which specs it was judged")
    header = _StrangersHeader.model_validate(record)
    if header.specs != specs:
        raise ResultsError(f"was judged by other specs ({header.specs}, lossmark {header.lossmark})")
    return header


def _count(cell: _StrangersCell, tallies: dict[TallyKey, Tally], losses: Collection[str]) -> None:
    if cell.loss not in losses:
        raise ResultsError(f"has the loss {cell.loss!r}, which no spec is of")
    setting = TallyKey(cell.loss, cell.impl, cell.framework, cell.device, cell.mode, cell.dtype)
    tally = tallies.setdefault(setting, Tally())
    if len(tallies) > MOST_ROWS:
        raise ResultsError(f"has more than {MOST_ROWS} implementations, devices, modes, dtypes and losses")
    tally.counts[cell.verdict] += 1
    if cell.verdict in JUDGED:
        tally.budget_used = max(tally.budget_used, _finite(cell.budget_used))
        tally.error_ulp = max(tally.error_ulp, _finite(cell.error_ulp))


def _finite(value: _Number) -> float:
    return value if isinstance(value, float) and 0 <= value < float("inf") else 0.0


def _complaints(header: _StrangersHeader, tallies: dict[TallyKey, Tally], cells: int, ended: bool) -> Iterator[str]:
    """Why a file that is well formed is not shown."""
    counts: Counter[str] = Counter()
    for tally in tallies.values():
        counts += tally.counts
    if not ended:
        yield "the run died before its end"
    if cells != header.planned:
        yield f"is not complete: {cells} of {header.planned} cells"
    if counts["error"] == sum(counts[verdict] for verdict in VERDICTS if verdict not in ("unsupported", "not-run")):
        yield f"nothing was judged: of {cells} cells {counts['error']} are errors and the others were not run"


def versions(standings: Sequence[Standing]) -> dict[str, list[Standing]]:
    """The standings of each name, the oldest first."""
    found: dict[str, list[Standing]] = {}
    for standing in standings:
        found.setdefault(standing.name, []).append(standing)
    return found
