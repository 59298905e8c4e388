"""Parts of one plan, run on several machines, become one results file.

Cells stay on disk: what is looked up is a table in a temporary file, so that memory does not grow with their number.
Where parts overlap, the same cell of several machines is compared. The worse verdict is kept, so that the whole is
never better than a part of it, and a line of the kind ``difference`` says what each machine found.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cell import VERDICTS
from .compatible import Head, common_environment, head_of, refuse_strangers
from .overlap import Differing, Overlap
from .record import ResultsError, cell_of
from .sight import joined
from .stream import scan

NAMED = 20
"""Cells that are named for each way of differing; all are in the file."""


@dataclass
class Merged:
    """What was joined, and what is wrong with it."""

    planned: int
    counts: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    """What lacks, in words, part by part; with any of it the file has no footer."""
    differing: Counter[str] = field(default_factory=Counter)
    """How many cells differ between files in ``verdict``, or in ``numbers`` alone."""
    named: list[str] = field(default_factory=list)
    """Some of these cells, with what each file says."""
    replaced: list[str] = field(default_factory=list)
    """Files of runs that died, whose part another file has."""
    complaints: list[str] = field(default_factory=list)
    """What is wrong with known failures, which no part could say on its own."""

    @property
    def right(self) -> bool:
        """Whether it is complete, and no two machines disagree about a verdict."""
        return not (self.missing or self.differing["verdict"] or self.complaints)


def merge(sources: Sequence[Path], output: Path) -> Merged:
    """Join results files of one plan into ``output``, which is written as a whole or not at all.

    Raises :class:`ResultsError` for files that are no results, or not of one plan, version and state of the specs.
    """
    if output.resolve() in {source.resolve() for source in sources}:
        raise ResultsError(f"{output}: would be written over a part that is read")
    heads = sorted((head_of(source) for source in sources), key=lambda head: head.index)
    refuse_strangers(heads)
    merged = Merged(heads[0].planned_of_whole)
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with Overlap() as overlap:
            footers = [_indexed(head, number, overlap) for number, head in enumerate(heads)]
            merged.missing = list(_missing(heads, footers, overlap, merged.planned))
            merged.replaced = list(_replaced(heads, footers, overlap))
            with draft.open("wb") as stream:
                for line in _lines(heads, overlap, merged):
                    stream.write(line)
                if not merged.missing:
                    merged.complaints = _complaints(heads, footers)
                    counts = {verdict: merged.counts[verdict] for verdict in VERDICTS}
                    stream.write(_line({"kind": "footer", "counts": counts}))
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    return merged


def _indexed(head: Head, number: int, overlap: Overlap) -> Mapping[str, Any] | None:
    """Take down every cell of a file; returns its footer, None where the run died."""
    footer: Mapping[str, Any] | None = None
    counts: Counter[str] = Counter()
    for record, _ in _records(head):
        if footer is not None:
            raise ResultsError(f"{head.path}: goes on after its footer")
        if record["kind"] == "footer":
            footer = record
        elif record["kind"] == "cell":
            counts[record["verdict"]] += 1
            if not overlap.add(number, record):
                raise ResultsError(f"{head.path}: holds a cell twice: {name_of(record)}")
    told = counts if footer is None else footer.get("counts")
    if not isinstance(told, dict) or Counter(told) != counts:
        raise ResultsError(f"{head.path}: its cells have other verdicts than its footer counts")
    return footer


def _records(head: Head) -> Iterator[tuple[Mapping[str, Any], bytes]]:
    """Everything after the header, with cells that are cells."""
    for place, (record, line) in enumerate(scan(head.path), 1):
        if record["kind"] == "cell":
            try:
                cell_of(record)
            except (KeyError, TypeError, ValueError) as error:
                raise ResultsError(f"{head.path}:{place}: a cell is malformed: {error!r}") from None
        if place > 1:
            yield record, line


def _whole(heads: Sequence[Head], footers: Sequence[Mapping[str, Any] | None], overlap: Overlap) -> set[int]:
    """The parts of which a file has every cell."""
    return {
        head.index
        for number, (head, footer) in enumerate(zip(heads, footers, strict=True))
        if footer is not None and overlap.count(number) == head.planned
    }


def _replaced(heads: Sequence[Head], footers: Sequence[Mapping[str, Any] | None], overlap: Overlap) -> Iterator[str]:
    """The files of runs that died whose part another file has."""
    whole = _whole(heads, footers, overlap)
    for head, footer in zip(heads, footers, strict=True):
        if footer is None and head.index in whole:
            yield f"part {head.part} died in {head.path}, another file has all of it"


def _missing(
    heads: Sequence[Head], footers: Sequence[Mapping[str, Any] | None], overlap: Overlap, planned: int
) -> Iterator[str]:
    """What lacks, a line for each part, and for each file that died or has fewer cells than it planned."""
    whole = _whole(heads, footers, overlap)
    for index in range(1, heads[0].of + 1):
        mine = [number for number, head in enumerate(heads) if head.index == index]
        if not mine:
            yield f"part {index}/{heads[0].of} is missing"
        for number in mine if index not in whole else ():
            how = "died" if footers[number] is None else "is not complete"
            cells = f"{overlap.count(number)} of {heads[number].planned} cells"
            yield f"part {heads[number].part} {how}: {heads[number].path} has {cells}"
    found = overlap.distinct()
    if found > planned or (found < planned and len(whole) == heads[0].of):
        raise ResultsError(f"the parts have {found} cells together, their plan has {planned}: they are not as planned")


def _lines(heads: Sequence[Head], overlap: Overlap, merged: Merged) -> Iterator[bytes]:
    """The header, and the cells as they stand in the parts, each once, with what differs after it."""
    first = {key: value for key, value in heads[0].header.items() if key not in ("shard", "parts")}
    parts = [head.about(overlap.count(number)) for number, head in enumerate(heads)]
    environment = common_environment([head.environment for head in heads])
    yield _line(first | {"planned": merged.planned, "environment": environment, "parts": parts})
    for number, head in enumerate(heads):
        for record, line in _records(head):
            found = overlap.kept(number, record) if record["kind"] == "cell" else None
            if found is None:
                continue
            merged.counts[record["verdict"]] += 1
            yield line if line.endswith(b"\n") else line + b"\n"
            if found:
                yield _line(_difference(record, found, heads, merged))


def _difference(record: Mapping[str, Any], found: Differing, heads: Sequence[Head], merged: Merged) -> dict[str, Any]:
    """The line that says what each machine found of a cell on which they do not agree; it is counted and named."""
    differs = "verdict" if len({each["verdict"] for _, each in found}) > 1 else "numbers"
    merged.differing[differs] += 1
    if merged.differing[differs] <= NAMED:
        told = "; ".join(f"{each['verdict']}, {each['error_ulp']} ulp in {heads[n].path}" for n, each in found)
        merged.named.append(f"{differs} differ{'s' if differs == 'verdict' else ''}: {name_of(record)}: {told}")
    seen = [{"part": heads[n].part, "machine": heads[n].machine, **each} for n, each in found]
    key = {name: record[name] for name in Overlap.KEY}
    return {"kind": "difference", **key, "differs": differs, "found": seen}


def _complaints(heads: Sequence[Head], footers: Sequence[Mapping[str, Any] | None]) -> list[str]:
    """What is wrong with known failures, by what all parts have seen."""
    try:
        sights = joined(footer.get("known_failures", []) for footer in footers if footer is not None)
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{heads[0].path} or another part: malformed known failures: {error!r}") from None
    return [sight.complaint for sight in sights if sight.complaint]


def name_of(record: Mapping[str, Any]) -> str:
    """A cell as people name it."""
    return " ".join(str(record[name]) for name in ("case", "impl", "device", "dtype", "mode", "check"))


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n"
