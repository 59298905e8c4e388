"""Reductions over the batch: what each makes of the losses of the examples, and the cotangent it hands back."""

from __future__ import annotations

import numpy as np

from ..dtypes import F64, DType, accumulator_of
from ..readings.arithmetic import Arithmetic
from ..readings.bound import WIDENING
from ..readings.bound_sums import total as total_error
from ..readings.double_double import Wide, div, mul, total
from ..readings.nonfinite import ALL_FINITE, NonFinite
from ..readings.overflow import Bounded, overflow
from .acceptance import Acceptance
from .transformed import rounded_factor


def reduce(example: Acceptance, reduction: str, dtype: DType) -> Acceptance:
    """The acceptance of the reduced value ``[]``, or for ``none`` ``[B]``, from that of the examples ``[B, 1]``.

    A mean is off by the error of the sum over B, and by two roundings, of 1/B and of the product, unless B is a power
    of two.
    """
    if reduction == "none":
        return example.reshape((len(example.exact),))
    arithmetic = Arithmetic(dtype)
    with np.errstate(all="ignore"):
        v = total(Wide(example.exact, example.exact_low), 0)
        e = total_error(arithmetic, v, example.exact, example.bound, axis=0, lows=example.exact_low)
        nonfinite = ~np.isfinite(v.hi)
        e = np.where(nonfinite, 0.0, np.where(np.isnan(e), np.inf, e))  # no bound of one example is none of the sum
        also = overflow(dtype, v, e) | example.also.of_a_sum() | _partial_sums(example, dtype)
        if reduction == "mean":
            count = len(example.exact)
            n = Wide(np.full((1, 1), float(count)), None if v.lo is None else np.zeros((1, 1)))
            mass = np.sum(np.abs(example.exact), axis=0, keepdims=True)
            v, e = div(v, n), e / count
            e = np.where(nonfinite, 0.0, e + (0.0 if _power_of_two(count) else 2 * dtype.u * mass / count))
            e = e + np.where(nonfinite | (v.hi == 0), 0.0, arithmetic.eta(v, e))
    limit = None if example.limit is None else reduce(example.limit, reduction, dtype)
    textbook = None if example.textbook is None else reduce(example.textbook, reduction, dtype)
    reduced = Acceptance(exact=v.hi, exact_low=v.lo, bound=e * WIDENING, also=also, limit=limit, textbook=textbook)
    return reduced.reshape(())


def _partial_sums(example: Acceptance, dtype: DType) -> NonFinite:
    """What a sum may be that overflows on the way, in some order, though its terms and the whole do not.

    The extreme partial sums are those of all positive and of all negative terms. They are held in the accumulator.
    """
    largest = accumulator_of(dtype).largest
    some = np.where(np.isfinite(example.exact), example.exact, 0.0)
    bound = np.where(np.isfinite(example.bound), example.bound, 0.0)
    up = np.sum(np.maximum(some + bound, 0.0), axis=0, keepdims=True) > largest
    down = np.sum(np.minimum(some - bound, 0.0), axis=0, keepdims=True) < -largest
    return NonFinite.of(up, down, up & down) if up.any() or down.any() else ALL_FINITE


def seed(reduction: str, weights: F64, batch: int, dtype: DType, scale: float) -> Bounded:
    """The cotangent ``[K, 1]`` of every example's loss, with the error of a computed 1/B and of the factor ``scale``.

    It is 1 for ``sum``, 1/B for ``mean``, and the caller's ``weights`` ``[K]`` for ``none``. B is ``batch``, more than
    K where rows repeat.
    """
    chosen = weights if reduction == "none" else np.full(len(weights), 1.0 if reduction == "sum" else 1.0 / batch)
    v = Wide(chosen.reshape(-1, 1))
    if dtype.p == 53:
        zeros = np.zeros_like(v.hi)
        one, count = Wide(np.ones_like(v.hi), zeros), Wide(np.full_like(v.hi, batch), zeros)
        v = div(one, count) if reduction == "mean" else Wide(v.hi, zeros)
    exact = reduction != "mean" or _power_of_two(batch)
    e = np.zeros_like(v.hi) if exact else dtype.u * np.abs(v.hi)
    if scale == 1:
        return Bounded(v, e)
    v = mul(v, Wide(np.full((1, 1), scale), None if v.lo is None else np.zeros((1, 1))))
    return Bounded(v, e * abs(scale) + rounded_factor(scale, dtype) * np.abs(v.hi))


def _power_of_two(count: int) -> bool:
    return count & (count - 1) == 0
