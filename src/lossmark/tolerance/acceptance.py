"""What conforms, as arrays: the exact numbers, their bound, and the outcomes allowed beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType
from ..readings import wide
from ..readings.bound import WIDENING, Bound
from ..readings.overflow import NAN as NAN_FLAG
from ..readings.overflow import Bounded, Flags, finish, merge
from ..readings.wide import Wide

SIGN_CHANGED = np.array([0, 2, 1, 3, 4, 6, 5, 7], np.uint8)
"""The outcomes of -x, by those of x."""
REDUCTIONS = ("none", "sum", "mean")


@dataclass(frozen=True)
class Kink:
    """Rows whose kink cannot be told apart: any λ·at_one + (1-λ)·at_zero conforms, one λ per row for all inputs."""

    rows: NDArray[np.intp]
    at_zero: Mapping[str, F64]
    at_one: Mapping[str, F64]


@dataclass(frozen=True)
class Acceptance:
    """The numbers that conform, elementwise: within ``e`` of ``hi + lo``, or among ``flags``, or accepted by ``other``.

    ``other`` is what the limit 0·∞ = 0 gives where IEEE arithmetic gives NaN. ``free`` marks what is unspecified (the
    gradient of an example whose value is NaN). Arrays have the shape of the result; all but ``hi`` and ``e`` may be
    absent.
    """

    hi: F64
    lo: F64 | None
    e: F64
    flags: Flags | None = None
    other: Acceptance | None = None
    free: NDArray[np.bool_] | None = None
    _ulps: dict[DType, F64] = field(default_factory=dict, init=False, repr=False, compare=False)
    _extents: dict[float, tuple[float, float]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def ulp(self, dtype: DType) -> F64:
        """Units in the last place of ``dtype`` at the exact numbers; kept, because every implementation asks."""
        if dtype not in self._ulps:
            self._ulps[dtype] = dtype.ulp(self.hi)
        return self._ulps[dtype]

    def extent(self, tiny: float) -> tuple[float, float]:
        """The sums of bounds and of magnitudes; where the bound is not 0 a magnitude counts as ``tiny`` at least."""
        if tiny not in self._extents:
            use = np.isfinite(self.hi) if self.free is None else np.isfinite(self.hi) & ~self.free
            whole = np.where(use, np.maximum(np.abs(self.hi), np.where(self.e > 0, tiny, 0.0)), 0.0)
            self._extents[tiny] = float(np.sum(np.minimum(self.e, whole))), float(np.sum(whole))
        return self._extents[tiny]


@dataclass(frozen=True)
class Expected:
    """All that one case expects in one dtype. ``gradients[reduction][input]``; a kink belongs to a reduction."""

    values: Mapping[str, Acceptance]
    gradients: Mapping[str, Mapping[str, Acceptance]]
    kinks: Mapping[str, Kink | None]


def acceptance(x: Bounded, other: Bounded | None) -> Acceptance:
    """What a bounded number accepts, with what the limit 0·∞ = 0 gives beside it."""
    different = None
    if other is not None and not np.array_equal(other.v.hi, x.v.hi, equal_nan=True):
        different = acceptance(other, None)
    hi, lo = x.v
    if lo is not None and hi.dtype != np.float64:  # read in the extended range, see the joined reading
        with np.errstate(over="ignore", invalid="ignore"):
            high = hi.astype(np.float64)
            lo = np.where(np.isfinite(high), (hi - high) + lo, 0.0).astype(np.float64)
            return Acceptance(high, lo, (x.e * WIDENING).astype(np.float64), x.flags, different)
    return Acceptance(hi, lo, x.e * WIDENING, x.flags, different)


def join(parts: Sequence[Acceptance]) -> Acceptance:
    """Blocks of rows, one after the other."""
    if len(parts) == 1:
        return parts[0]
    flags = None
    if any(part.flags is not None for part in parts):
        flags = np.concatenate([np.zeros(p.hi.shape, np.uint8) if p.flags is None else p.flags for p in parts])
    lows = [part.lo for part in parts if part.lo is not None]
    free = None
    if any(part.free is not None for part in parts):
        free = np.concatenate([np.zeros(p.hi.shape, bool) if p.free is None else p.free for p in parts])
    other = None
    if any(part.other is not None for part in parts):
        other = join([p if p.other is None else p.other for p in parts])
    return Acceptance(
        np.concatenate([part.hi for part in parts]),
        np.concatenate(lows) if lows else None,
        np.concatenate([part.e for part in parts]),
        flags,
        other,
        free,
    )


def reshape(x: Acceptance, shape: tuple[int, ...]) -> Acceptance:
    """The same numbers in the shape of the result."""
    low = None if x.lo is None else x.lo.reshape(shape)
    flags = None if x.flags is None else x.flags.reshape(shape)
    other = None if x.other is None else reshape(x.other, shape)
    free = None if x.free is None else x.free.reshape(shape)
    return Acceptance(x.hi.reshape(shape), low, x.e.reshape(shape), flags, other, free)


def part(x: Acceptance, rows: slice) -> Acceptance:
    """Some rows of a result."""
    low = None if x.lo is None else x.lo[rows]
    flags = None if x.flags is None else x.flags[rows]
    other = None if x.other is None else part(x.other, rows)
    free = None if x.free is None else x.free[rows]
    return Acceptance(x.hi[rows], low, x.e[rows], flags, other, free)


def kinks_of(kink: Kink | None, rows: slice) -> Kink | None:
    """The kinks in some rows, counted from the first of them."""
    if kink is None:
        return None
    here = (kink.rows >= rows.start) & (kink.rows < rows.stop)
    if not here.any():
        return None
    zero = {name: array[here] for name, array in kink.at_zero.items()}
    return Kink(kink.rows[here] - rows.start, zero, {name: array[here] for name, array in kink.at_one.items()})


def join_kinks(parts: Sequence[Kink | None], shapes: Mapping[str, tuple[int, ...]]) -> Kink | None:
    """The kinked rows of all blocks, with slopes in the shapes of the inputs."""
    found = [part for part in parts if part is not None]
    if not found:
        return None
    rows = np.concatenate([part.rows for part in found])

    def joined(side: str) -> dict[str, F64]:
        return {
            name: np.concatenate([getattr(part, side)[name] for part in found]).reshape(len(rows), *shape[1:])
            for name, shape in shapes.items()
        }

    return Kink(rows, joined("at_zero"), joined("at_one"))


def rounded_factor(scale: float, dtype: DType) -> float:
    """The relative error of a product with ``scale``: of the factor and of the product, none for powers of two."""
    mantissa, _ = math.frexp(scale)
    return 0.0 if abs(mantissa) == 0.5 else 2 * dtype.u


def scaled(x: Acceptance, scale: float, dtype: DType) -> Acceptance:
    """What ``scale`` times a number accepts, from what the number accepts."""
    if scale == 1:
        return x
    with np.errstate(over="ignore", invalid="ignore"):
        v = wide.mul(Wide(x.hi, x.lo), Wide(np.full_like(x.hi, scale), None if x.lo is None else np.zeros_like(x.hi)))
        e = x.e * abs(scale) + rounded_factor(scale, dtype) * np.abs(v.hi)
        e = np.where(np.isfinite(v.hi), e + Bound(dtype).eta(v, e), 0.0)
        flags = finish(dtype, "neg", v, e, []).flags
    if x.flags is not None:
        flags = merge(flags, x.flags if scale > 0 else SIGN_CHANGED[x.flags])
    other = None if x.other is None else scaled(x.other, scale, dtype)
    return Acceptance(v.hi, v.lo, e, flags, other, x.free)


def added(x: Acceptance, y: Acceptance, dtype: DType) -> Acceptance:
    """What the sum of two numbers accepts that a reverse pass adds up; outcomes beside a bound are not foreseen."""
    v = wide.add(Wide(x.hi, x.lo), Wide(y.hi, y.lo))
    e = Bound(dtype).fork(v, Bounded(Wide(x.hi, x.lo), x.e), Bounded(Wide(y.hi, y.lo), y.e))
    return Acceptance(v.hi, v.lo, e * WIDENING, merge(x.flags, y.flags))


def aliased(truth: Expected, kept: str, dropped: str, dtype: DType) -> Expected:
    """What conforms where two inputs are one tensor: its gradient is the sum of theirs, on either side of a kink."""
    gradients, kinks = {}, {}
    for reduction, parts in truth.gradients.items():
        kink = truth.kinks[reduction]
        both = added(parts[kept], parts[dropped], dtype)
        if kink is not None:
            beyond = added(_beyond(parts[kept], kink, kept), _beyond(parts[dropped], kink, dropped), dtype)
            both = replace(both, e=np.maximum(both.e, beyond.e))
            zero, one = ({**side, kept: side[kept] + side[dropped]} for side in (kink.at_zero, kink.at_one))
            kink = replace(kink, at_zero=zero, at_one=one)
        kinks[reduction] = kink
        gradients[reduction] = {name: part for name, part in parts.items() if name != dropped} | {kept: both}
    return replace(truth, gradients=gradients, kinks=kinks)


def _beyond(x: Acceptance, kink: Kink, name: str) -> Acceptance:
    """The gradient by one input with its kinked rows on the other side."""
    hi, lo = x.hi.copy(), None if x.lo is None else x.lo.copy()
    hi[kink.rows] = kink.at_one[name]
    if lo is not None:
        lo[kink.rows] = 0.0
    return replace(x, hi=hi, lo=lo)


def reduce(example: Acceptance, reduction: str, dtype: DType) -> Acceptance:
    """The acceptance of the reduced value, from that of the examples ``[B, 1]``."""
    if reduction == "none":
        return reshape(example, (len(example.hi),))
    with np.errstate(all="ignore"):
        bound = Bound(dtype)
        terms = Wide(example.hi, example.lo)
        v = wide.total(terms, 0)
        e = bound.total(v, example.hi, example.e, axis=0, lows=example.lo)
        nonfinite = ~np.isfinite(v.hi)
        e = np.where(nonfinite | np.isnan(e), 0.0, e)
        flags = merge(finish(dtype, "neg", v, e, []).flags, _collapse(example.flags))
        if reduction == "mean":
            count = len(example.hi)
            n = Wide(np.full((1, 1), float(count)), None if v.lo is None else np.zeros((1, 1)))
            mass = np.sum(np.abs(example.hi), axis=0, keepdims=True)
            v, e = wide.div(v, n), e / count
            e = np.where(nonfinite, 0.0, e + (0.0 if count & (count - 1) == 0 else 2 * dtype.u * mass / count))
            e = e + np.where(nonfinite | (v.hi == 0), 0.0, bound.eta(v, e))
    other = None if example.other is None else reduce(example.other, reduction, dtype)
    return reshape(Acceptance(v.hi, v.lo, e * WIDENING, flags, other), ())


def _collapse(flags: Flags | None) -> Flags | None:
    """Outcomes of a sum over examples, from theirs (opposite infinities may meet)."""
    if flags is None:
        return None
    any_of = np.bitwise_or.reduce(flags, axis=0, keepdims=True)
    return np.asarray(any_of | ((any_of & 3) == 3) * np.uint8(NAN_FLAG))
