"""A cell: one check of one implementation on one case, and its verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["pass", "deviates", "fail", "error", "unsupported", "not-run"]
VERDICTS: tuple[Verdict, ...] = ("pass", "deviates", "fail", "error", "unsupported", "not-run")
OPTIONAL = ("grade", "worst", "retried")
"""Keys that a cell's record has only where they say something."""
NUMBERS = ("got", "expected", "bound")
"""Keys of ``worst`` that are numbers."""


@dataclass(frozen=True)
class Cell:
    """One check of one implementation on one case: the unit of every report. ``error_ulp`` is None if not finite."""

    impl: str
    framework: str
    device: str
    dtype: str
    mode: str
    loss: str
    case: str
    check: str
    verdict: Verdict
    error_ulp: float | None = None
    budget_used: float | None = None
    detail: str = ""
    grade: str = ""
    """A difference of quality that fails nobody, in a few words (``flushed to zero``, …); empty if there is none."""
    worst: Mapping[str, Any] | None = field(default=None, hash=False)
    """The element of a failure that is furthest from conforming: label, index, got, expected, bound."""

    retried: str = ""
    """Why the implementation was asked twice: how the first try crashed or timed out; empty if it was asked once."""

    def record(self) -> dict[str, Any]:
        """The cell as a JSON object, without optional keys that are empty; non-finite numbers are strings."""
        kept = {key: value for key, value in vars(self).items() if value or key not in OPTIONAL}
        return {"kind": "cell"} | {key: _plain(value) for key, value in kept.items()}


def _plain(value: Any) -> Any:
    """The value as JSON can write it: numbers that are not finite are strings."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
