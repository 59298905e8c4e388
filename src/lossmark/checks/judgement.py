"""Verdicts: does what came back lie in what conforms?

Works on plain arrays, in a process that never runs the code under test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType, accumulator_of
from ..tolerance.acceptance import Acceptance, Kink
from .kinks import explain, member

UNDERFLOW = "underflow of an intermediate"
"""The grade of what conforms only if squares inside a norm may underflow, or one part of a gradient."""
TEXTBOOK_FORM = "textbook"
"""The grade of what conforms in the form that many write alone, which loses digits."""
SPOILT = "NaN from what does not count"
"""The grade of a gradient that is NaN where an example that does not count holds NaN or an infinity."""
LOOSE = 0.25
"""A check whose bound exceeds this part of the exact values says too little to be run."""


@dataclass(frozen=True)
class Worst:
    """The element of a result that is furthest from conforming, for the report of a failure."""

    label: str
    index: tuple[int, ...]
    got: float
    expected: float
    bound: float
    ulp: float

    def record(self) -> dict[str, Any]:
        """As a results file has it; ``index`` is that of the element, ``bound`` the error that conforms there."""
        return {
            "label": self.label, "index": list(self.index), "got": self.got, "expected": self.expected,
            "bound": self.bound,
        }  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """``ok``, the largest error in ulp (None where a non-finite number is right), the largest share of the bound.

    ``grade`` is :data:`UNDERFLOW`, :data:`TEXTBOOK_FORM` or :data:`SPOILT` where that is what it takes to conform.
    """

    ok: bool
    error_ulp: float | None = 0.0
    budget_used: float = 0.0
    worst: Worst | None = None
    note: str = ""
    grade: str = ""


def combine(parts: Sequence[Judgement]) -> Judgement:
    """One judgement for several results: fails if one does, and shows the worst."""
    failed = [part for part in parts if not part.ok]
    ulps = [part.error_ulp for part in parts if part.error_ulp is not None]
    first = (failed or sorted(parts, key=lambda part: -part.budget_used))[0]
    notes = dict.fromkeys(part.note for part in parts if part.note)
    return Judgement(
        not failed,
        max(ulps) if ulps else None,
        max(part.budget_used for part in parts),
        first.worst,
        "; ".join(notes),
        next((part.grade for part in parts if part.grade), ""),
    )


def loose(accepted: Sequence[Acceptance], dtype: DType) -> bool:
    """Whether the bound is too wide to say much: more than a quarter of the exact values, taken together.

    An error of a few smallest normal numbers is never too wide: results that small may be flushed to zero.
    """
    return too_wide([extent(part, dtype) for part in accepted])


def extent(accepted: Acceptance, dtype: DType) -> tuple[float, float]:
    """The sums of bounds and of magnitudes, by which it is told whether a bound is too wide."""
    return accepted.extent(64 * dtype.smallest_normal)


def too_wide(extents: Sequence[tuple[float, float]]) -> bool:
    """Whether bounds, taken together, exceed a quarter of the magnitudes."""
    return sum(allowance for allowance, _ in extents) > LOOSE * sum(size for _, size in extents)


def judge(
    got: NDArray[np.generic], accepted: Acceptance, dtype: DType, label: str, *, in_parts: bool = False
) -> Judgement:
    """Hold an array against its acceptance; what was computed ``in_parts`` may have lost one of them by underflow."""
    if got.shape != accepted.shape:
        return Judgement(
            False, None, math.inf, note=f"{label} has shape {list(got.shape)}, expected {list(accepted.shape)}"
        )
    if got.size == 0:
        return Judgement(True)
    x = got.astype(np.float64)
    quick = _within(x, accepted, dtype, label)
    return quick or _beyond(x, accepted, dtype, label, in_parts)


def _within(x: F64, accepted: Acceptance, dtype: DType, label: str) -> Judgement | None:
    """The common case, in few passes: every number finite, specified and within its bound."""
    if accepted.unspecified is not None or accepted.also or accepted.limit is not None:
        return None
    with np.errstate(all="ignore"):
        error = _error(x, accepted)
        if not bool(np.all(error <= accepted.bound)) or not np.isfinite(np.max(accepted.bound)):
            return None
        used = np.divide(error, accepted.bound, out=np.zeros_like(error), where=error != 0)
    at = np.unravel_index(int(np.argmax(used)), x.shape)
    with np.errstate(over="ignore"):
        ulps = float(np.max(error / accepted.ulp(dtype)))
    return Judgement(True, ulps, float(used[at]), _worst(x, accepted, dtype, label, error, at))


def _worst(x: F64, accepted: Acceptance, dtype: DType, label: str, error: F64, at: tuple[np.intp, ...]) -> Worst:
    index = tuple(int(i) for i in at)
    with np.errstate(over="ignore"):
        ulp = float(error[at] / accepted.ulp(dtype)[at])
    return Worst(label, index, float(x[at]), float(accepted.exact[at]), float(accepted.bound[at]), ulp)


def _beyond(x: F64, accepted: Acceptance, dtype: DType, label: str, in_parts: bool) -> Judgement:
    """Every other case: outcomes beside the bound, unspecified elements, failures."""
    with np.errstate(all="ignore"):
        error = _error(x, accepted)
        finite = np.isfinite(x) & np.isfinite(accepted.exact)
        inside = finite & (error <= accepted.bound)
        used = np.where(finite, np.where(error == 0, 0.0, error / accepted.bound), np.where(inside, 0.0, np.inf))
        same = (x == accepted.exact) | (np.isnan(x) & np.isnan(accepted.exact))
        allowed = (
            inside | (same & ~finite) | _beside(x, accepted) | (np.isinf(accepted.bound) & np.isfinite(accepted.exact))
        )
        if accepted.unspecified is not None:
            allowed |= accepted.unspecified
        lost = ~allowed & (
            _by_the_textbook(x, accepted.textbook) | (in_parts & finite & _lost_a_part(error, accepted, dtype))
        )
        allowed |= lost
        formed = ~allowed & _in_form(x, accepted.form)
        allowed |= formed
        spoilt = ~allowed & np.isnan(x) & (False if accepted.spoilt is None else accepted.spoilt)
        allowed |= spoilt
        judged = finite & ~(allowed & ~inside)
        if accepted.unspecified is not None:
            judged &= ~accepted.unspecified
        used = np.where(judged, used, np.where(allowed, 0.0, np.inf))
        ulp = np.where(judged, error / accepted.ulp(dtype), 0.0)
    at = np.unravel_index(int(np.argmax(np.where(allowed, used, np.inf))), x.shape)
    worst = _worst(x, accepted, dtype, label, error, at)
    conforming = bool(allowed.all())
    budget = float(np.max(used))
    error_ulp = float(np.max(ulp)) if judged.any() else None
    grade = SPOILT if spoilt.any() else TEXTBOOK_FORM if formed.any() else UNDERFLOW if lost.any() else ""
    return Judgement(conforming, error_ulp, budget, worst, grade=grade if conforming else "")


def _error(x: F64, accepted: Acceptance) -> F64:
    difference = x - accepted.exact
    return np.abs(difference if accepted.exact_low is None else difference - accepted.exact_low)


def _near(x: F64, accepted: Acceptance) -> NDArray[np.bool_]:
    """Numbers within the bound of a finite one: no error beside an infinity is, though its bound is infinite too."""
    return np.asarray(np.isfinite(accepted.exact) & (_error(x, accepted) <= accepted.bound))


def _beside(x: F64, accepted: Acceptance) -> NDArray[np.bool_]:
    """Numbers that conform though they are not within the bound."""
    result = accepted.also.allow(x)
    if accepted.limit is not None:
        limit = accepted.limit
        result |= (x == limit.exact) | (np.isnan(x) & np.isnan(limit.exact)) | _near(x, limit)
        result |= _beside(x, limit)
    return result


def _by_the_textbook(x: F64, textbook: Acceptance | None) -> NDArray[np.bool_]:
    """Numbers that conform where squares inside a norm underflow, NaN among them where nothing is left of the norm."""
    if textbook is None:
        return np.zeros(x.shape, bool)
    return _near(x, textbook) | textbook.also.allow(x) | _by_the_textbook(x, textbook.textbook)


def _lost_a_part(error: F64, accepted: Acceptance, dtype: DType) -> NDArray[np.bool_]:
    """Numbers off by no more than one part that underflows, beside their bound.

    A gradient may be the sum of parts that the formula does not have, as of max(x, 0) + log1p(exp(-|x|)) for
    softplus(x). A part by itself is lost below the smallest normal number of the accumulator, if that flushes, and is
    rounded to a multiple of the smallest number of the format.
    """
    return np.asarray(error <= accepted.bound + part_room(dtype))


def part_room(dtype: DType) -> float:
    """What one part of a gradient may lose by underflow."""
    return accumulator_of(dtype).smallest_normal + 2.0 ** (dtype.emin - dtype.p)


def _in_form(x: F64, form: Acceptance | None) -> NDArray[np.bool_]:
    """Numbers that conform in the form that many write, each where the bound of that form is not too wide for it.

    An infinity of that form conforms, too.
    """
    if form is None:
        return np.zeros(x.shape, bool)
    told = _near(x, form) & (form.bound <= LOOSE * np.abs(form.exact))
    infinite = (x == form.exact) if form.limit is None else (x == form.exact) | (x == form.limit.exact)
    return np.asarray(told | (np.isinf(x) & infinite))


def slopes(
    got: Mapping[str, NDArray[np.generic]],
    accepted: Mapping[str, Acceptance],
    kink: Kink | None,
    dtype: DType,
    label: str,
) -> Judgement:
    """Hold gradients by input against theirs; where slopes are undecided one choice must explain all inputs."""
    parts = []
    chosen = ""
    if kink is not None and all(got[name].shape == accepted[name].shape for name in accepted):
        fits, chosen, members = explain(got, accepted, kink, dtype)
        accepted = {name: member(accepted[name], kink, members, name, dtype) for name in accepted}
        if not fits.all():
            row = int(kink.rows[int(np.argmin(fits))])
            parts.append(
                Judgement(
                    False,
                    None,
                    math.inf,
                    note=f"{label}: no choice of slopes in [0, 1] explains example {row} at its kink",
                )
            )
    parts += [judge(got[name], accepted[name], dtype, f"{label} by {name}", in_parts=True) for name in accepted]
    result = combine(parts)
    if chosen and not result.note:
        return replace(result, note=chosen)
    return result
