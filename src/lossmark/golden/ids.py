"""The ids of golden cases with the version that brought each: none is ever removed, or given to another case.

``specs/ids.json`` is their changelog. ``lossmark certify`` adds new ones, and ``--check`` names those that are gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..specification.loss import Loss
from .flaw import Flaw

IDS_FILE = "ids.json"


def recorded(folder: Path) -> dict[str, str]:
    """The version that brought each id, as the changelog of a folder says; empty where there is none."""
    path = folder / IDS_FILE
    versions = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {name: since for since, names in versions.items() for name in names}


def present(losses: Sequence[Loss]) -> dict[str, str]:
    """The same of the cases that there are."""
    return {case.id: case.since for loss in losses for case in loss.model.cases}


def changelog(losses: Sequence[Loss], folder: Path) -> str:
    """The text of the changelog: what it has already, and the ids that are new."""
    ids = {**present(losses), **recorded(folder)}
    versions: Mapping[str, list[str]] = {since: [] for since in sorted(set(ids.values()))}
    for name in sorted(ids):
        versions[ids[name]].append(name)
    return json.dumps(versions, indent=1, ensure_ascii=False) + "\n"


def gone(losses: Sequence[Loss], folder: Path) -> Iterator[Flaw]:
    """Ids that the changelog has and no spec, and those whose version has changed."""
    there = present(losses)
    for name, since in recorded(folder).items():
        if name not in there:
            yield Flaw(name, f"the id is gone; it was there since {since}, and ids are never removed or renumbered")
        elif there[name] != since:
            yield Flaw(name, f"is said to be there since {there[name]}, it was there since {since}")
