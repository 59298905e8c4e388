"""A cell: one check of one implementation on one case, and its verdict."""

from __future__ import annotations

import math
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

    def record(self) -> dict[str, Any]:
        """The cell as a JSON object."""
        return {"kind": "cell"} | {key: _plain(value) for key, value in vars(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value).replace("+", "")
    return value
