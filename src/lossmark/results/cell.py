"""A cell: one check of one implementation on one case, and its verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["pass", "deviates", "fail", "error", "unsupported", "not-run"]
VERDICTS: tuple[Verdict, ...] = ("pass", "deviates", "fail", "error", "unsupported", "not-run")


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
    """What is a matter of taste and fails nobody, in a few words (``flushed to zero``, …); empty if nothing is."""
    worst: Mapping[str, Any] | None = None
    """The element that is furthest from conforming, of a failure: label, index, got, expected, bound."""

    def record(self) -> dict[str, Any]:
        """The cell as a JSON object."""
        optional = {key for key in ("grade", "worst") if not getattr(self, key)}
        return {"kind": "cell"} | {key: _plain(value) for key, value in vars(self).items() if key not in optional}


def _plain(value: Any) -> Any:
    """The value as JSON can write it: numbers that are not finite are strings."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
