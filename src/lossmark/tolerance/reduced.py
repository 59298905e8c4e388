"""Reductions over the batch: what each makes of the losses of the examples, and the cotangent it hands back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..dtypes import F64, DType, accumulator_of, over_batch
from ..readings.arithmetic import Arithmetic
from ..readings.bound import WIDENING
from ..readings.bound_sums import total as total_error
from ..readings.double_double import Wide, div, mul, total
from ..readings.nonfinite import ALL_FINITE, NonFinite
from ..readings.overflow import Bounded, overflow
from .acceptance import Acceptance
from .transformed import rounded_factor


def divisor(example: Bounded | None, batch: int, dtype: DType) -> Bounded:
    """What a mean divides by, ``[1, 1]``: the number of examples, or the sum of what each adds to it, ``[B, 1]``.

    The sum accumulates in at least float32.
    """
    low = np.zeros((1, 1)) if dtype.p == 53 else None
    if example is None:
        return Bounded(Wide(np.full((1, 1), float(batch)), low), np.zeros((1, 1)))
    v = total(example.v, 0)
    arithmetic = Arithmetic(accumulator_of(over_batch(dtype)))
    return Bounded(v, total_error(arithmetic, v, example.v.hi, example.e, axis=0, lows=example.v.lo))


def reduce(example: Acceptance, reduction: str, dtype: DType, count: Bounded) -> Acceptance:
    """The acceptance of the reduced value ``[]``, or for ``none`` ``[B]``, from that of the examples ``[B, 1]``.

    Where the loss of an example is a sum itself, all terms of the batch may be added in any order. A mean is off by the
    error of the sum over B, by that of the ``count`` that it is divided by, and by two roundings, of 1/count and of the
    product, unless it is a power of two.
    """
    if reduction == "none":
        return example.reshape((len(example.exact),))
    dtype = over_batch(dtype)
    arithmetic = Arithmetic(dtype)
    with np.errstate(all="ignore"):
        v = total(Wide(example.exact, example.exact_low), 0)
        e = total_error(arithmetic, v, example.exact, example.bound, axis=0, lows=example.exact_low)
        if example.terms is not None:
            e = np.maximum(e, example.terms.together(0).error_of_sum(arithmetic, v))
        nonfinite = ~np.isfinite(v.hi)
        e = np.where(nonfinite, 0.0, np.where(np.isnan(e), np.inf, e))  # no bound of one example is none of the sum
        also = overflow(dtype, v, e) | example.also.of_a_sum() | _partial_sums(example, dtype)
        if reduction == "mean":
            mass = np.sum(np.abs(example.exact), axis=0, keepdims=True)
            least = count.v.hi - count.e
            v = div(v, Wide(count.v.hi, None if v.lo is None else count.v.lo))
            e = e / least + np.abs(v.hi) * count.e / least
            nonfinite = nonfinite | ~np.isfinite(v.hi)
            e = np.where(nonfinite, 0.0, e + (0.0 if _power_of_two(count) else 2 * dtype.u * mass / least))
            e = e + np.where(nonfinite | (v.hi == 0), 0.0, arithmetic.eta(v, e))
    limit = None if example.limit is None else reduce(example.limit, reduction, dtype, count)
    textbook = None if example.textbook is None else reduce(example.textbook, reduction, dtype, count)
    form = None if example.form is None else reduce(example.form, reduction, dtype, count)
    reduced = Acceptance(exact=v.hi, exact_low=v.lo, bound=e * WIDENING, also=also, limit=limit, textbook=textbook)
    return replace(reduced, form=form).reshape(())


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


def seed(reduction: str, weights: F64, count: Bounded, dtype: DType, scale: float) -> Bounded:
    """The cotangent ``[K, 1]`` of every example's loss, with the error of a computed 1/B and of the factor ``scale``.

    It is 1 for ``sum``, 1/B for ``mean``, and the caller's ``weights`` ``[K]`` for ``none``. B is ``count``, more than
    K where rows repeat, or what a written mean divides by; where that is 0 the cotangent is NaN.
    """
    with np.errstate(all="ignore"):
        part = float((1.0 / count.v.hi)[0, 0]) if count.v.hi.all() else np.nan
        relative = float((count.e / np.maximum(count.v.hi - count.e, 0.0))[0, 0]) if count.e.any() else 0.0
    chosen = weights if reduction == "none" else np.full(len(weights), 1.0 if reduction == "sum" else part)
    v = Wide(chosen.reshape(-1, 1))
    if dtype.p == 53:
        zeros = np.zeros_like(v.hi)
        one = Wide(np.ones_like(v.hi), zeros)
        each = Wide(
            np.broadcast_to(count.v.hi, v.hi.shape),
            np.broadcast_to(count.v.lo if count.v.lo is not None else 0.0, v.hi.shape),
        )
        v = div(one, each) if reduction == "mean" and not np.isnan(chosen).any() else Wide(v.hi, zeros)
    exact = reduction != "mean" or _power_of_two(count)
    e = np.zeros_like(v.hi) if exact else (dtype.u + relative) * np.abs(v.hi)
    if scale == 1:
        return Bounded(v, e)
    v = mul(v, Wide(np.full((1, 1), scale), None if v.lo is None else np.zeros((1, 1))))
    return Bounded(v, e * abs(scale) + rounded_factor(scale, dtype) * np.abs(v.hi))


def _power_of_two(count: Bounded) -> bool:
    return bool(np.frexp(count.v.hi)[0].item() == 0.5 and not count.e.any())
