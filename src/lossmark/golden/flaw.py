"""What ``lossmark certify --check`` objects to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flaw:
    """What is wrong with the specs, and where: a place in a file, a file, or the id of a case or loss."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"
