"""Whether results files are of one plan, judged alike, and what to say of the machines that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environment import machine
from .record import ResultsError
from .stream import scan

VERSIONS = ("frameworks", "packages", "python", "numeric set-up")
"""What environments must have in common: another version is another result."""


@dataclass(frozen=True)
class Head:
    """What the header of a results file says: which part of which plan, judged by what, made where."""

    path: Path
    header: Mapping[str, Any]
    environment: Mapping[str, Any]
    index: int
    of: int
    cut: str
    planned: int
    planned_of_whole: int
    machine: str

    @property
    def part(self) -> str:
        """The part as ``2/4``."""
        return f"{self.index}/{self.of}"

    def about(self, cells: int) -> dict[str, Any]:
        """What is kept of the file in the header of the whole."""
        named = {name: self.environment.get(name) for name in ("date", "cpu", "cores", "platform")}
        return {"index": self.index, "of": self.of, "cells": cells, "machine": self.machine} | named


def head_of(path: Path) -> Head:
    """The head of a file; raises :class:`ResultsError` for one that cannot be joined with any other."""
    header, _ = next(scan(path))
    if "plan" not in header:
        raise ResultsError(f"{path}: does not say which plan it is of; it was written by another lossmark")
    try:
        shard = header.get("shard", {"index": 1, "of": 1, "cut": ""})
        environment = dict(header["environment"])
        index, of, planned, whole = (
            int(value) for value in (shard["index"], shard["of"], header["planned"], header["plan"]["cells"])
        )
        if not 1 <= index <= of:
            raise ValueError(f"part {index} of {of}")
        cut = str(shard["cut"]) if of > 1 else ""
        return Head(path, header, environment, index, of, cut, planned, whole, machine(environment))
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{path}: the header is malformed: {error!r}") from None


def refuse_strangers(heads: Sequence[Head]) -> None:
    """Raises :class:`ResultsError` where files are of different plans, versions or specs, with the reason."""
    first = heads[0]
    for head in heads[1:]:
        for what, mine, other in _agreements(head, first):
            if mine != other:
                raise ResultsError(f"{head.path} and {first.path} are not joined: {what} {_told(mine, other)}")


def _agreements(head: Head, first: Head) -> list[tuple[str, Any, Any]]:
    """What must be the same in two heads, in words, with both values."""
    pairs = [("lossmark is", "lossmark"), ("the specs are", "specs"), ("the known failures are", "known_failures")]
    said = [(words, head.header.get(key), first.header.get(key)) for words, key in pairs]
    said += [(f"{name} differ:", head.environment.get(name), first.environment.get(name)) for name in VERSIONS]
    said.append(("the plans are", head.header["plan"], first.header["plan"]))
    said.append(("the plan is cut into", head.of, first.of))
    said.append(("the plan is cut by other costs:", head.cut, first.cut))
    return said


def _told(mine: Any, other: Any) -> str:
    """Two values that differ; of tables the entries that differ."""
    if isinstance(mine, Mapping) and isinstance(other, Mapping):
        names = sorted(name for name in {*mine, *other} if mine.get(name) != other.get(name))
        return ", ".join(f"{name} {mine.get(name)} and {other.get(name)}" for name in names)
    return f"{mine} and {other}"


def common_environment(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What machines have in common as it is; where they differ, what each is, in words. The date is the first one."""
    whole: dict[str, Any] = {}
    for name in dict.fromkeys(name for each in found for name in each):
        values = [each[name] for each in found if name in each]
        if name == "date":
            whole[name] = min(map(str, values))
        elif all(isinstance(value, Mapping) for value in values):
            whole[name] = {key: text for value in reversed(values) for key, text in value.items()}
        else:
            distinct = list(dict.fromkeys(map(str, values)))
            whole[name] = values[0] if len(distinct) == 1 else " | ".join(distinct)
    return whole
