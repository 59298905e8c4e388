"""What a run has seen of a known failure, and what there is to complain about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

SEEN = ("left out", "no cell", "no verdict", "no failure", "failure")
"""What was seen of the cells that an entry is about: the most that any of them shows. The options of a run may leave
out what it is about."""


@dataclass(frozen=True)
class Sight:
    """Of one entry of known failures: where it stands, its reason, the most that was seen, when it expired."""

    place: str
    reason: str
    seen: str
    expired: str = ""

    @property
    def complaint(self) -> str:
        """What is wrong with the entry, once all cells that it may be about have been seen; empty if nothing is."""
        if self.seen == "no cell":
            return f"{self.place}: matches no cell of this run: {self.reason}"
        return self.expiry or (
            f"{self.place}: no longer needed, no cell fails so: {self.reason}" if self.seen == "no failure" else ""
        )

    @property
    def expiry(self) -> str:
        """What is wrong with the entry, whatever the cells show."""
        return f"{self.place}: expired on {self.expired}: {self.reason}" if self.expired else ""

    @property
    def concerns(self) -> bool:
        """Whether the options of the run leave in what the entry is about."""
        return self.seen != "left out"

    def record(self) -> dict[str, str]:
        """The sight as JSON, with the file's name for its path."""
        return asdict(replace(self, place=self.place.rpartition("/")[2]))


def joined(parts: Iterable[Iterable[Mapping[str, Any]]]) -> list[Sight]:
    """What all parts of a run have seen together, from the records of each.

    Raises KeyError, TypeError or ValueError for what is no record of a sight.
    """
    found: dict[tuple[str, str], Sight] = {}
    for records in parts:
        for record in records:
            sight = Sight(*(str(record[key]) for key in ("place", "reason", "seen", "expired")))
            before = found.get((sight.place, sight.reason), sight)
            found[sight.place, sight.reason] = max(before, sight, key=lambda one: SEEN.index(one.seen))
    return list(found.values())
