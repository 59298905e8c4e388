"""Conformance of both sides, compared cell by cell."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..gate.outcome import Finding
from .cell import Cell
from .record import Results

EXECUTED = ("pass", "deviates", "fail", "error")
WORSE = 1.5
NOTABLE = 0.25
"""A bound is used up more if ×1.5, and to a quarter: below that, which way a sum is rounded makes as much."""
SHOWN = 20

Key = tuple[str, ...]


def compared(base: Results, head: Results, names: Mapping[str, str]) -> Iterator[Finding]:
    """What the head's cells have lost; ``names`` says what an implementation of the base is called in the head."""
    for label, results in (("base", base), ("head", head)):
        if not results.complete:
            yield Finding("cells", "harness error", label, "its conformance run did not come to its end")
            return
        if not results.cells:
            yield Finding("cells", "harness error", label, "its conformance run has no cells")
            return
    before = {_key(cell, names.get(cell.impl, cell.impl)): cell for cell in base.cells}
    after = {_key(cell, cell.impl): cell for cell in head.cells}
    yield from _missing(before, after)
    yield from _changed(before, after)
    yield from _fewer(before, after)
    yield from _new(before, after)


def _key(cell: Cell, impl: str) -> Key:
    return (cell.loss, cell.case, impl, cell.device, cell.dtype, cell.mode, cell.check)


def _name(key: Key) -> str:
    _, case, impl, device, dtype, mode, check = key
    return f"{case} {impl} {device} {dtype} {mode} {check}"


def _missing(before: Mapping[Key, Cell], after: Mapping[Key, Cell]) -> Iterator[Finding]:
    """Losses, implementations, cases and single cells that are gone, each told once at the highest level."""
    gone = [key for key in before if key not in after]
    levels = {"loss": (0,), "implementation": (2,), "case": (1,), "implementation of a loss": (0, 2)}
    told: set[Key] = set()
    for what, places in levels.items():
        left = {_part(key, places) for key in after}
        lost = Counter(_part(key, places) for key in gone if key not in told and _part(key, places) not in left)
        for name, count in lost.items():
            yield Finding("cells", "regression", " ".join(name), f"this {what} is gone: {count} cells")
        told.update(key for key in gone if _part(key, places) in lost)
    yield from _few(
        [Finding("cells", "regression", _name(key), "this cell is gone") for key in gone if key not in told]
    )


def _part(key: Key, places: tuple[int, ...]) -> Key:
    return tuple(key[place] for place in places)


def _changed(before: Mapping[Key, Cell], after: Mapping[Key, Cell]) -> Iterator[Finding]:
    broken, looser = [], []
    for key, old in before.items():
        new = after.get(key)
        if new is None:
            continue
        was_good, is_good = old.verdict in ("pass", "deviates"), new.verdict in ("pass", "deviates")
        if (old.verdict == "pass" and new.verdict != "pass") or (was_good and not is_good):
            text = f"was {old.verdict}, is {new.verdict}" + (f": {new.detail}" if new.detail else "")
            broken.append(Finding("cells", "regression", _name(key), text))
        elif is_good and (new.budget_used or 0) > max(WORSE * (old.budget_used or 0), NOTABLE):
            text = f"uses {new.budget_used:.2f} of its bound, was {old.budget_used or 0:.2f}"
            looser.append(Finding("cells", "regression", _name(key), text))
    yield from _few(broken)
    yield from _few(looser)


def _fewer(before: Mapping[Key, Cell], after: Mapping[Key, Cell]) -> Iterator[Finding]:
    """The number of cells that were executed, per implementation."""
    old, new = (Counter(key[2] for key, cell in side.items() if cell.verdict in EXECUTED) for side in (before, after))
    for impl, count in old.items():
        if new[impl] < count:
            yield Finding("cells", "regression", impl, f"{new[impl]} cells were executed, {count} before")


def _new(before: Mapping[Key, Cell], after: Mapping[Key, Cell]) -> Iterator[Finding]:
    """Cells that are new and wrong; how many are new, or right now."""
    fresh = [key for key in after if key not in before]
    wrong = [
        Finding("cells", "regression", _name(key), f"is new, and {after[key].verdict}: {after[key].detail}")
        for key in fresh
        if after[key].verdict in ("fail", "error")
    ]
    yield from _few(wrong)
    mended = sum(
        old.verdict in ("fail", "error") and key in after and after[key].verdict == "pass"
        for key, old in before.items()
    )
    for count, what in ((len(fresh) - len(wrong), "new cells"), (mended, "cells that failed pass now")):
        if count:
            yield Finding("cells", "note", "cells", f"{count} {what}")


def _few(findings: list[Finding]) -> Iterator[Finding]:
    """Some of many findings of a kind, and how many more there are."""
    yield from findings[:SHOWN]
    if len(findings) > SHOWN:
        first = findings[0]
        yield Finding(first.step, first.severity, "cells", f"… and {len(findings) - SHOWN} more like these")


def lost_kills(base: Path, head: Path) -> Iterator[Finding]:
    """Mutants that the base's scoreboard kills and the head's does not; nothing where the base has no scoreboard."""
    old, new = _kills(base), _kills(head)
    lost = defaultdict(list)
    for name, dtype in sorted(old - new):
        lost[name].append(dtype)
    for name, dtypes in lost.items():
        yield Finding("cells", "regression", name, f"this mutant is no longer killed in {', '.join(dtypes)}")


def _kills(root: Path) -> set[tuple[str, str]]:
    path = root / "reports" / "results" / "sharpness.json"
    if not path.is_file():
        return set()
    mutants = json.loads(path.read_text(encoding="utf-8"))["mutants"]
    return {(m["name"], dtype) for m in mutants for dtype, box in m["boxes"].items() if box["state"] == "killed"}
