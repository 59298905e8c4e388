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
    parameters that the function does not take, with the value at which it stands in place of the default.

    Changes of the formula, which it is then held to: ``guard``: what keeps a cosine from dividing by 0, in place of the
    spec's, as ``{"per norm": 1e-8}`` (each norm at least that), ``{"product": 1e-6}`` (the product of the norms) or
    ``{"added": 1e-6}`` (to that product). ``epsilon``: what is added inside a norm, as ``{"difference": 1e-6}`` (to
    each component) or ``{"root": 1e-6}`` (under the root). ``clip``: the range that a term of the spec, or an input, is
    clipped to, as ``{"s_pos": (-1, 1)}``; a bound may be infinite.

    In place of the formula, in the spec's language and with its terms: ``formula``: the loss of an example; several are
    equal evaluations, of which it takes one. ``slope``: the formula whose derivative, with the cotangent as the last
    factor, the gradient is, where that is not the derivative of ``formula``. ``mean``: a mean that is not over the
    batch, as ``"sum(loss, B)/sum(where(paired, 1, 0), B)"``. Guard, epsilon and clip apply to these too.

    ``accumulate``: ``"dtype"`` says that in 16 bits the sums of an example, exponentials and logarithms are rounded
    to the dtype of the inputs, where the spec asks for float32.

    ``ulp``: the range (lowest, highest) in which errors beyond the bound have been observed, in units in the last
    place: for what no change of the formula describes.

    ``why`` says it in words, ``url`` points to where it is documented, ``until`` is the ISO date of the last day on
    which the declaration holds. Raises ValueError for a declaration that says nothing or cannot be.
    """

    why: str
    scale: float = 1.0
    url: str = ""
    flips: tuple[str, ...] = ()
    fixed: Mapping[str, float | str] = field(default_factory=dict)
    guard: Mapping[str, float] = field(default_factory=dict)
    epsilon: Mapping[str, float] = field(default_factory=dict)
    clip: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    formula: tuple[str, ...] = ()
    slope: tuple[str, ...] = ()
    mean: str = ""
    accumulate: str = ""
    ulp: tuple[float, float] | None = None
    until: str = ""

    def __post_init__(self) -> None:
        if not self.why.strip():
            raise ValueError("a Deviation needs a why")
        if not (isinstance(self.scale, (int, float)) and 0 < abs(self.scale) < math.inf):
            raise ValueError(f"scale must be a finite number other than 0, got {self.scale!r}")
        object.__setattr__(self, "scale", float(self.scale))
        for name in ("flips", "formula", "slope"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
        if self.accumulate not in ("", "dtype"):
            raise ValueError(f"accumulate must be 'dtype' or left out, got {self.accumulate!r}")
        _one_positive("guard", self.guard)
        _one_positive("epsilon", self.epsilon)
        object.__setattr__(self, "clip", {name: _range(name, bounds) for name, bounds in self.clip.items()})
        if self.ulp is not None:
            object.__setattr__(self, "ulp", observed(self.ulp))
        if self.until:
            date.fromisoformat(self.until)

    @property
    def changes(self) -> str:
        """What the declaration makes of the loss, as a key; empty if nothing."""
        return f"{self.scale} {self.flips} {sorted(self.fixed.items())} {self.rewrites}".removeprefix("1.0 () [] ")

    @property
    def rewrites(self) -> str:
        """What the declaration changes in the formula, as a key; empty if nothing."""
        parts = (self.guard, self.epsilon, self.clip)
        written = (self.formula, self.slope, self.mean)
        return f"{[sorted(part.items()) for part in parts]} {written}" if any((*parts, *written)) else ""


def _one_positive(name: str, found: Mapping[str, float]) -> None:
    """Refuse all but one kind with a finite positive number, or nothing; raises ValueError."""
    if len(found) > 1 or not all(isinstance(x, (int, float)) and 0 < x < math.inf for x in found.values()):
        raise ValueError(f"{name} must be one kind with a finite positive number, got {dict(found)!r}")


def _range(name: str, bounds: object) -> tuple[float, float]:
    """A range as (lowest, highest); raises ValueError."""
    pair = list(bounds) if isinstance(bounds, (list, tuple)) else []
    if len(pair) != 2 or not all(isinstance(x, (int, float)) for x in pair) or not pair[0] < pair[1]:
        raise ValueError(f"clip of {name!r} must be (lowest, highest) with lowest < highest, got {bounds!r}")
    return float(pair[0]), float(pair[1])


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
