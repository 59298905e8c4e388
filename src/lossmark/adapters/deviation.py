"""A declared, known difference from the spec: the implementation is held to what it declares, and to nothing wider."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class Deviation:
    """How a loss differs from the spec's, in whatever combination applies.

    ``scale``: it is this factor times the spec's. ``flips``: the labels whose 0 and 1 are exchanged. ``fixed``:
    parameters that the function does not take, with the value at which it stands in place of the default. ``ulp``: the
    range (lowest, highest) in which errors beyond the bound have been observed, in units in the last place.

    ``why`` says it in words, ``url`` points to where it is documented, ``until`` is the ISO date of the last day on
    which the declaration holds. Raises ValueError for a declaration that says nothing or cannot be.
    """

    why: str
    scale: float = 1.0
    url: str = ""
    flips: tuple[str, ...] = ()
    fixed: Mapping[str, float | str] = field(default_factory=dict)
    ulp: tuple[float, float] | None = None
    until: str = ""

    def __post_init__(self) -> None:
        if not self.why.strip():
            raise ValueError("a Deviation needs a why")
        if not (isinstance(self.scale, (int, float)) and 0 < abs(self.scale) < math.inf):
            raise ValueError(f"scale must be a finite number other than 0, got {self.scale!r}")
        object.__setattr__(self, "scale", float(self.scale))
        object.__setattr__(self, "flips", (self.flips,) if isinstance(self.flips, str) else tuple(self.flips))
        if self.ulp is not None:
            object.__setattr__(self, "ulp", observed(self.ulp))
        if self.until:
            date.fromisoformat(self.until)

    @property
    def changes(self) -> str:
        """What the declaration makes of the loss, as a key; empty if nothing."""
        return f"{self.scale} {self.flips} {sorted(self.fixed.items())}".removeprefix("1.0 () []")


def observed(ulp: object) -> tuple[float, float]:
    """A range of observed errors as (lowest, highest); raises ValueError."""
    pair = list(ulp) if isinstance(ulp, (list, tuple)) else []
    numbers = [float(x) for x in pair if isinstance(x, (int, float)) and not isinstance(x, bool)]
    if len(pair) != 2 or len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1]:
        raise ValueError(f"ulp must be [lowest, highest] with 0 <= lowest <= highest, got {ulp!r}")
    return numbers[0], numbers[1]


def expired(until: str) -> bool:
    """Whether the last day is over (never, where none is given)."""
    return bool(until) and date.today() > date.fromisoformat(until)
