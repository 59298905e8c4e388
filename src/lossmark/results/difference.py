"""Two conformance runs, compared cell by cell: what the later one has lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from .cell import Cell
from .record import Results

EXECUTED = ("pass", "deviates", "fail", "error")
"""Verdicts of a cell whose implementation was run."""
MORE = 1.5
NOTABLE = 0.25
"""What uses 1.5 times as much of its bound as before, and more than a quarter, is noted: another order of a sum may."""
WORSE = 2.0
GRAVE = 0.5
"""What uses twice as much, and more than half, is a regression: of the right implementations that take the place of
another, one in fifty has such a cell (``tests/gate_rewrites.py``)."""
SHOWN = 20
"""Differences of a kind that are named; the others are counted."""

Key = tuple[str, ...]
"""What names a cell in both runs: loss, case, implementation, device, dtype, mode, check."""


@dataclass(frozen=True)
class Difference:
    """One thing that differs between two runs: how bad, of what, in words."""

    severity: Literal["regression", "harness error", "note"]
    subject: str
    text: str


def compared(base: Results, head: Results, names: Mapping[str, str]) -> Iterator[Difference]:
    """What the head's cells have lost against the base's, and how many are new.

    ``names`` says what an implementation of the base is called in the head, where that is not the same.
    """
    for label, results in (("base", base), ("head", head)):
        if not results.complete:
            yield Difference("harness error", label, "its conformance run did not come to its end")
            return
        if not results.cells:
            yield Difference("harness error", label, "its conformance run has no cells")
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


def _missing(before: Mapping[Key, Cell], after: Mapping[Key, Cell]) -> Iterator[Difference]:
    """Losses, implementations, cases and single cells that are gone, each told once at the highest level."""
    gone = [key for key in before if key not in after]
    levels = {"loss": (0,), "implementation": (2,), "case": (1,), "implementation of a loss": (0, 2)}
    told: set[Key] = set()
    for what, places in levels.items():
        left = {_part(key, places) for key in after}
        lost = Counter(_part(key, places) for key in gone if key not in told and _part(key, places) not in left)
        for name, count in lost.items():
            yield Difference("regression", " ".join(name), f"this {what} is gone: {count} cells")
        told.update(key for key in gone if _part(key, places) in lost)
    yield from _few([Difference("regression", _name(key), "this cell is gone") for key in gone if key not in told])


def _part(key: Key, places: tuple[int, ...]) -> Key:
    return tuple(key[place] for place in places)


def _changed(before: Mapping[Key, Cell], after: Mapping[Key, Cell]) -> Iterator[Difference]:
    """Cells that conform no longer, or use up more of their bound."""
    broken, worse, looser = [], [], []
    for key, old in before.items():
        new = after.get(key)
        if new is None:
            continue
        was_good, is_good = old.verdict in ("pass", "deviates"), new.verdict in ("pass", "deviates")
        if (old.verdict == "pass" and new.verdict != "pass") or (was_good and not is_good):
            text = f"was {old.verdict}, is {new.verdict}" + (f": {new.detail}" if new.detail else "")
            broken.append(Difference("regression", _name(key), text))
        elif is_good and grown(old, new, MORE, NOTABLE):
            text = f"uses {new.budget_used:.2f} of its bound, was {old.budget_used or 0:.2f}"
            if grown(old, new, WORSE, GRAVE):
                worse.append(Difference("regression", _name(key), text))
            else:
                looser.append(Difference("note", _name(key), text))
    yield from _few(broken)
    yield from _few(worse)
    yield from _few(looser)


def grown(old: Cell, new: Cell, factor: float, least: float) -> bool:
    """Whether a cell uses more than ``factor`` times as much of its bound as before, and more than ``least`` of it."""
    return (new.budget_used or 0) > max(factor * (old.budget_used or 0), least)


def _fewer(before: Mapping[Key, Cell], after: Mapping[Key, Cell]) -> Iterator[Difference]:
    """The number of cells that were executed, per implementation."""
    old, new = (Counter(key[2] for key, cell in side.items() if cell.verdict in EXECUTED) for side in (before, after))
    for impl, count in old.items():
        if new[impl] < count:
            yield Difference("regression", impl, f"{new[impl]} cells were executed, {count} before")


def _new(before: Mapping[Key, Cell], after: Mapping[Key, Cell]) -> Iterator[Difference]:
    """Cells that are new and wrong; how many are new, or right now."""
    fresh = [key for key in after if key not in before]
    wrong = [
        Difference("regression", _name(key), f"is new, and {after[key].verdict}: {after[key].detail}")
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
            yield Difference("note", "cells", f"{count} {what}")


def _few(found: list[Difference]) -> Iterator[Difference]:
    """The first differences of a kind, and how many more there are."""
    yield from found[:SHOWN]
    if len(found) > SHOWN:
        first = found[0]
        yield Difference(first.severity, "cells", f"… and {len(found) - SHOWN} more like these")
