"""What conforms, as arrays: the exact numbers, their bound, and the outcomes allowed beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType
from ..readings.bound import WIDENING
from ..readings.bound_sums import Summands
from ..readings.nonfinite import ALL_FINITE, NonFinite
from ..readings.overflow import Bounded
from ..specification.case import Repeats

REDUCTIONS = ("none", "sum", "mean")
"""The reductions over the batch that every loss has."""


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """The numbers that conform, elementwise, as arrays of one shape.

    A number conforms within ``bound`` of ``exact + exact_low``, or as one of the outcomes in ``also``, or if ``limit``
    accepts it, or where ``unspecified`` says that any number does. ``exact_low`` is there for float64 alone. ``limit``
    is what the convention 0·∞ = 0 gives where that differs from IEEE arithmetic. ``unspecified`` marks the gradient of
    examples whose value is NaN. ``textbook`` is there where squares inside a norm may underflow: what it accepts
    conforms too, with a lower grade; ``spoilt`` marks gradients that a NaN may reach from an example that does not
    count, likewise. ``form`` is what the loss accepts in the form that many write, where the spec has one: it counts
    where its own bound says something. ``terms`` are there where the loss of an example is a sum: a sum over the batch
    may add the terms of all examples in any order.
    """

    exact: F64
    exact_low: F64 | None
    bound: F64
    also: NonFinite = ALL_FINITE
    limit: Acceptance | None = None
    unspecified: NDArray[np.bool_] | None = None
    textbook: Acceptance | None = None
    form: Acceptance | None = None
    spoilt: NDArray[np.bool_] | None = None
    terms: Summands | None = None
    _ulps: dict[DType, F64] = field(default_factory=dict, init=False, repr=False, compare=False)
    _extents: dict[float, tuple[float, float]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return self.exact.shape

    def map(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Acceptance:
        """The same in another shape, or some rows of it: ``change`` is applied to every array."""
        return Acceptance(
            exact=change(self.exact),
            exact_low=None if self.exact_low is None else change(self.exact_low),
            bound=change(self.bound),
            also=self.also.map(change),
            limit=None if self.limit is None else self.limit.map(change),
            unspecified=None if self.unspecified is None else change(self.unspecified),
            textbook=None if self.textbook is None else self.textbook.map(change),
            form=None if self.form is None else self.form.map(change),
            spoilt=None if self.spoilt is None else change(self.spoilt),
            terms=None if self.terms is None else self.terms.map(change),
        )

    def reshape(self, shape: tuple[int, ...]) -> Acceptance:
        """The same numbers in another shape."""
        return self.map(lambda array: array.reshape(shape))

    def rows(self, rows: slice | NDArray[np.intp]) -> Acceptance:
        """Some rows of the result."""
        return self.map(lambda array: array[rows])

    def ulp(self, dtype: DType) -> F64:
        """Units in the last place of ``dtype`` at the exact numbers; kept, because every implementation asks."""
        if dtype not in self._ulps:
            self._ulps[dtype] = dtype.ulp(self.exact)
        return self._ulps[dtype]

    def extent(self, tiny: float) -> tuple[float, float]:
        """The sums of bounds and of magnitudes; where the bound is not 0 a magnitude counts as ``tiny`` at least."""
        if tiny not in self._extents:
            finite = np.isfinite(self.exact)
            use = finite if self.unspecified is None else finite & ~self.unspecified
            whole = np.where(use, np.maximum(np.abs(self.exact), np.where(self.bound > 0, tiny, 0.0)), 0.0)
            with np.errstate(over="ignore"):
                self._extents[tiny] = float(np.sum(np.minimum(self.bound, whole))), float(np.sum(whole))
        return self._extents[tiny]


@dataclass(frozen=True)
class Kink:
    """Rows with kinks whose side cannot be told: any at_zero + Σ λₙ·(at_oneₙ - at_zero) conforms, 0 ≤ λₙ ≤ 1.

    There is one λ for each place of a row that kinks, the same for all inputs; P is the largest number of places.
    ``rows`` ``[k]`` are numbers of examples; ``at_zero`` maps an input to its gradient there ``[k, D]`` (or ``[k]``)
    with every place on its lower side, ``at_one`` to those ``[P, k, D]`` with the n-th place alone on its upper side.
    """

    rows: NDArray[np.intp]
    at_zero: Mapping[str, F64]
    at_one: Mapping[str, F64]

    @property
    def places(self) -> int:
        """P, the largest number of places of one row that kink."""
        return len(next(iter(self.at_one.values())))

    def ends(self, name: str, places: int) -> F64:
        """``at_one`` of an input for so many places; those that no row has stay on their lower side."""
        one, zero = self.at_one[name], self.at_zero[name]
        return np.concatenate([one, np.broadcast_to(zero, (places - len(one), *zero.shape))])

    def within(self, rows: slice) -> Kink | None:
        """The kinks in some rows, counted from the first of these; None where there are none."""
        here = (self.rows >= rows.start) & (self.rows < rows.stop)
        if not here.any():
            return None
        zero = {name: array[here] for name, array in self.at_zero.items()}
        return Kink(self.rows[here] - rows.start, zero, {name: array[:, here] for name, array in self.at_one.items()})

    def repeated(self, repeats: Repeats) -> Kink:
        """The kinks of the whole batch, from those of its distinct rows and columns."""
        place = np.full(repeats.rows.max() + 1, -1)
        place[self.rows] = np.arange(len(self.rows))
        rows = np.flatnonzero(place[repeats.rows] >= 0)
        each = replace(repeats, rows=place[repeats.rows[rows]])
        zero = {name: each.expand(array) for name, array in self.at_zero.items()}
        one = {name: np.stack([each.expand(end) for end in array]) for name, array in self.at_one.items()}
        return Kink(rows, zero, one)


@dataclass(frozen=True)
class Expected:
    """All that one case expects in one dtype: ``values[reduction]``, ``gradients[reduction][input]``.

    ``kinks[reduction]`` is None where no example lies at a kink. Gradients may be had for fewer reductions than values.
    """

    values: Mapping[str, Acceptance]
    gradients: Mapping[str, Mapping[str, Acceptance]]
    kinks: Mapping[str, Kink | None]


def accepted(ieee: Bounded, limit: Bounded | None) -> Acceptance:
    """What a number accepts that IEEE arithmetic gives, with what the limit 0·∞ = 0 gives where it is read too.

    The bound is widened by what computing it may have lost.
    """
    different = None
    if limit is not None and not np.array_equal(limit.v.hi, ieee.v.hi, equal_nan=True):
        different = accepted(limit, None)
    exact, low = ieee.v
    bound = ieee.e * WIDENING
    if low is not None and exact.dtype != np.float64:  # read with the exponents of long double, see ``block``
        with np.errstate(over="ignore", invalid="ignore"):
            high = exact.astype(np.float64)
            low = np.where(np.isfinite(high), (exact - high) + low, 0.0).astype(np.float64)
            exact, bound = high, bound.astype(np.float64)
    return Acceptance(exact=exact, exact_low=low, bound=bound, also=ieee.also, limit=different)


def concatenated(parts: Sequence[Acceptance]) -> Acceptance:
    """Blocks of rows, one after the other."""
    if len(parts) == 1:
        return parts[0]
    limit = textbook = form = None
    if any(part.limit is not None for part in parts):
        limit = concatenated([part if part.limit is None else part.limit for part in parts])
    if any(part.textbook is not None for part in parts):
        textbook = concatenated([part if part.textbook is None else part.textbook for part in parts])
    if any(part.form is not None for part in parts):
        form = concatenated([part if part.form is None else part.form for part in parts])
    return Acceptance(
        exact=np.concatenate([part.exact for part in parts]),
        exact_low=_filled([(part.exact_low, part.exact) for part in parts], np.float64),
        bound=np.concatenate([part.bound for part in parts]),
        also=NonFinite(_filled([(part.also.bits, part.exact) for part in parts], np.uint8)),
        limit=limit,
        unspecified=_filled([(part.unspecified, part.exact) for part in parts], np.bool_),
        textbook=textbook,
        form=form,
        terms=Summands.concatenated([part.terms for part in parts if part.terms is not None])
        if parts[0].terms
        else None,
    )


def _filled(parts: Sequence[tuple[NDArray[Any] | None, F64]], kind: type[np.generic]) -> NDArray[Any] | None:
    """Arrays one after the other, with zeros in the shape of the exact numbers for those absent; None if all are."""
    if all(array is None for array, _ in parts):
        return None
    return np.concatenate([np.zeros(exact.shape, kind) if array is None else array for array, exact in parts])
