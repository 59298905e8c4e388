"""What can go wrong, as types.

Every refusal that a person may have caused is a :class:`LossmarkError`; the command line prints its one line and
exits with :attr:`LossmarkError.exit_code`. Anything else that escapes is a defect of lossmark itself.

    LossmarkError
    ├── SpecError            a spec file is malformed; names file, line, column, key
    │   └── FormulaError     … inside a formula
    ├── CertificationError   a value cannot be rounded with certainty
    └── LoadError            an implementation cannot be imported
"""

from __future__ import annotations

from dataclasses import dataclass

PASS, REGRESSION, INCONCLUSIVE, HARNESS_ERROR = 0, 1, 2, 3
"""The exit codes of every lossmark command."""


class LossmarkError(Exception):
    """An error whose message is meant for the person at the keyboard."""

    exit_code = HARNESS_ERROR


@dataclass(frozen=True)
class Place:
    """Where in a spec file something stands; ``line`` and ``column`` count from 1, 0 means unknown."""

    file: str = "<string>"
    line: int = 0
    column: int = 0
    key: str = ""

    def __str__(self) -> str:
        where = self.file
        if self.line:
            where += f":{self.line}"
            if self.column:
                where += f":{self.column}"
        return f"{where}: {self.key}" if self.key else where


class SpecError(LossmarkError):
    """A spec file is not well formed: says where, what was found and what was expected."""

    def __init__(self, message: str, place: Place | None = None):
        self.message = " ".join(message.split())
        self.place = place or Place()
        super().__init__(f"{self.place}: {self.message}")


class FormulaError(SpecError):
    """A formula does not follow the grammar."""


class CertificationError(LossmarkError):
    """A value could not be rounded with certainty, even at the highest working precision."""


class LoadError(LossmarkError):
    """An implementation could not be loaded."""
