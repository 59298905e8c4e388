"""What conforms as plain data: an :class:`~lossmark.tolerance.acceptance.Acceptance` without its structure.

All that an acceptance allows at an element is a union: numbers near exact ones, and infinities or NaN. Here each part
is written by itself, for the elements that have it; a part that another covers is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks.judgement import LOOSE, SPOILT, TEXTBOOK_FORM, UNDERFLOW
from ..checks.kinks import moves, room
from ..dtypes import F64, DType
from ..errors import CertificationError
from ..readings.nonfinite import Mask
from ..specification.hexfloat import canonical
from ..tolerance.acceptance import Acceptance, Kink

NEARLY = 2.0**-20
"""The part of a bound that rounding the exact numbers may add to it."""
SPECIAL_NUMBERS = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}


def texts(numbers: F64) -> list[str]:
    """Numbers as hex floats, in row-major order."""
    with np.errstate(over="ignore"):  # of long doubles
        return [canonical(number) for number in np.asarray(numbers, np.float64).ravel().tolist()]


@dataclass(frozen=True)
class Exactly:
    """Exact numbers of any shape as float64 ``head``, and the ``rest`` of each: 0 where the head is not finite."""

    head: F64
    rest: F64

    @classmethod
    def of(cls, accepted: Acceptance) -> Exactly:
        """The numbers that an acceptance is about."""
        low = np.zeros_like(accepted.exact) if accepted.exact_low is None else accepted.exact_low
        return cls(accepted.exact, np.where(np.isfinite(accepted.exact), low, 0.0))

    def off(self, other: Exactly) -> F64:
        """How far others are from these, 0 where either is not finite."""
        with np.errstate(invalid="ignore", over="ignore"):
            distance = np.abs((other.head - self.head) + (other.rest - self.rest))
        return np.where(np.isfinite(self.head) & np.isfinite(other.head), distance, 0.0)

    def same(self, other: Exactly) -> Mask:
        """Where both are finite, or the same infinity or NaN."""
        nan = np.isnan(self.head) & np.isnan(other.head)
        return np.asarray(nan | (self.head == other.head) | (np.isfinite(self.head) & np.isfinite(other.head)))

    def record(self) -> dict[str, Any]:
        """As a file has them."""
        return {"exact": texts(self.head), "rest": texts(self.rest)}


@dataclass(frozen=True)
class _Part:
    """Numbers that conform at the elements ``at``: near ``exactly``, or equal to it where that is not finite."""

    grade: str
    at: Mask
    exactly: Exactly
    bound: F64

    def beyond(self, base: Exactly, bound: F64) -> Mask:
        """Where it allows something that lies not within ``bound`` of ``base``."""
        finite = np.isfinite(self.exactly.head)
        with np.errstate(invalid="ignore"):
            covered = finite & np.isfinite(base.head) & (base.off(self.exactly) + self.bound <= bound)
        return self.at & ~covered & (finite | ~self.exactly.same(base))

    def record(self, at: Mask) -> dict[str, Any]:
        chosen = Exactly(self.exactly.head[at], self.exactly.rest[at])
        return {"grade": self.grade, "at": places(at), **chosen.record(), "bound": texts(self.bound[at])}


def places(mask: Mask) -> list[int]:
    """The places of the marked elements in row-major order."""
    return [int(place) for place in np.flatnonzero(mask)]


def allowed(accepted: Acceptance, exactly: Exactly, undecided: Mask | None = None) -> dict[str, Any]:
    """What an acceptance allows, around the exact numbers that the case has in every dtype.

    Its own may have been read in another format. What they differ by is added to the bound, if it is a small part of
    that; else its own are alternatives, and the bound is as much smaller. None of this concerns ``undecided`` elements,
    which only the sides of their kinks judge. Raises :class:`CertificationError` where the numbers are not the same.
    """
    free = np.isinf(accepted.bound) & np.isfinite(accepted.exact)
    if accepted.unspecified is not None:
        free |= accepted.unspecified
    own = Exactly.of(accepted)
    off = exactly.off(own) if undecided is None else np.where(undecided, 0.0, exactly.off(own))
    far = np.isfinite(own.head) & (accepted.bound > 0) & (off > NEARLY * accepted.bound)
    bound = np.where(far, np.maximum(accepted.bound - off, 0.0), accepted.bound + off)
    bound = np.where(np.isfinite(own.head) & ~free, bound, 0.0)
    if not (free | own.same(exactly) | accepted.also.allow(exactly.head)).all():
        raise CertificationError("the exact numbers are finite in one dtype and not in another")
    found: dict[str, Any] = {"bound": texts(bound)}
    if free.any():
        found["any"] = places(free)
    also = {
        name: places(mask)
        for name, number in SPECIAL_NUMBERS.items()
        if (mask := accepted.also.allow(np.full(accepted.shape, number)) & ~free).any()
    }
    if also:
        found["also"] = also
    parts = [
        (part, part.beyond(exactly, bound) & ~free & ~accepted.also.allow(part.exactly.head))
        for part in (_Part("", far | ~np.isfinite(own.head), own, accepted.bound), *_parts(accepted))
    ]
    alternatives = [part.record(at) for part, at in parts if at.any()]
    return found | ({"alternatives": alternatives} if alternatives else {})


def _parts(accepted: Acceptance) -> Iterator[_Part]:
    """Whatever conforms beside the bound and the outcomes that belong to it, in the order in which it is graded."""
    yield from _limits(accepted.limit)
    yield from _by_the_textbook(accepted.textbook)
    form = accepted.form
    if form is not None:
        with np.errstate(invalid="ignore"):
            told = np.isfinite(form.exact) & (form.bound <= LOOSE * np.abs(form.exact))
        yield _Part(TEXTBOOK_FORM, told, Exactly.of(form), form.bound)
        for each in (form, form.limit):
            if each is not None:
                yield _Part(TEXTBOOK_FORM, np.isinf(each.exact), Exactly.of(each), np.zeros(each.shape))
    if accepted.spoilt is not None:
        yield _nonfinite(SPOILT, accepted.spoilt, np.nan)


def _limits(limit: Acceptance | None) -> Iterator[_Part]:
    if limit is not None:
        yield _Part("", np.ones(limit.shape, bool), Exactly.of(limit), limit.bound)
        yield from _outcomes("", limit)
        yield from _limits(limit.limit)


def _by_the_textbook(textbook: Acceptance | None) -> Iterator[_Part]:
    if textbook is not None:
        yield _Part(UNDERFLOW, np.isfinite(textbook.exact), Exactly.of(textbook), textbook.bound)
        yield from _outcomes(UNDERFLOW, textbook)
        yield from _by_the_textbook(textbook.textbook)


def _outcomes(grade: str, accepted: Acceptance) -> Iterator[_Part]:
    """The infinities and NaN that an acceptance allows: those beside its bound, and within one that is infinite."""
    unbounded = np.isfinite(accepted.exact) & np.isinf(accepted.bound)
    for number in SPECIAL_NUMBERS.values():
        beside = accepted.also.allow(np.full(accepted.shape, number))
        yield _nonfinite(grade, beside | (unbounded & np.isinf(number)), number)


def _nonfinite(grade: str, at: Mask, number: float) -> _Part:
    zeros = np.zeros(at.shape)
    return _Part(grade, at, Exactly(np.full(at.shape, number), zeros), zeros)


def undecided(kink: Kink | None, name: str, shape: tuple[int, ...]) -> Mask | None:
    """The elements of the gradient by an input that differ between the sides of a kink; None where there is no kink."""
    if kink is None:
        return None
    found = np.zeros(shape, bool)
    found[kink.rows] = (kink.at_one[name] != kink.at_zero[name]).any(axis=0)
    return found


def kinked(kink: Kink, accepted: Mapping[str, Acceptance], dtype: DType) -> dict[str, Any]:
    """The kinked rows of one reduction: the gradient on the sides of their kinks, and the room between these."""
    several = np.count_nonzero(moves(kink), axis=0) > 1
    found = {}
    for name, part in accepted.items():
        bound, lower = part.bound[kink.rows], kink.at_zero[name]
        found[name] = {
            "lower": texts(lower),
            "upper": [texts(upper) for upper in kink.at_one[name]],
            "room": texts(room(kink, name, bound, several, dtype)),
        }
    return {"rows": [int(row) for row in kink.rows], "gradient": found}
