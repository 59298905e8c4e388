"""Bounded numbers, and what happens to them beyond the largest finite number.

Where an intermediate may overflow, the outcomes that IEEE arithmetic may reach instead are carried along.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..dtypes import F64, DType, accumulator_of
from ..formula.operations import OPERATIONS
from ..formula.tree import Dims, Node
from .contraction import slices
from .double_double import Wide
from .layout import placed
from .nonfinite import ALL_FINITE, NonFinite
from .wide import RULES as WIDE

LOST = 16.0
"""How many of the smallest normal number underflow may cost a number that is exactly 0, as sigmoid(-∞) is."""


@dataclass(frozen=True)
class Bounded:
    """Exact numbers ``v``, the error ``e`` that computed ones may have, and the outcomes that conform as well.

    Arrays are as those of :class:`.double_double.Wide`; ``e`` is not negative.
    """

    v: Wide
    e: F64
    also: NonFinite = ALL_FINITE

    @property
    def size(self) -> F64:
        """|v|, the magnitude as float64."""
        return np.abs(self.v.hi)


def finish(dtype: DType, node: Node, axes: Dims, v: Wide, e: F64, args: Sequence[Bounded]) -> Bounded:
    """The result ``v`` ± ``e`` of a node on ``args``, with the outcomes that its own overflow and theirs lead to."""
    sums, sums_products = OPERATIONS[node.op].sums, OPERATIONS[node.op].sums_products
    some = any(arg.also for arg in args) or (OPERATIONS[node.op].multiplies and any(map(_infinite, args)))
    if not sums and not sums_products and not some and _in_range(dtype, v, e):
        return Bounded(v, e)
    e = _tidy_error(v, e)
    also = _beyond(dtype, v, e)
    if sums or sums_products:
        factor = args[-1] if sums_products else Bounded(Wide(np.broadcast_to(1.0, args[0].v.hi.shape)), args[0].e)
        also |= _partial_sums(dtype, args[0], factor, axes.index(str(node.payload)))
    if node.op == "div":
        also |= _divisor_lost(dtype, v, e, args[1])
    if some:
        e, more = _alternatives(placed(WIDE[node.op], node, axes), v, e, _outcomes(dtype, node.op, args), args)
        also |= (
            more.or_nan() if OPERATIONS[node.op].shifts and not OPERATIONS[node.op].linear else more
        )  # the largest, less itself, is ∞ - ∞
    return Bounded(v, e, also)


def overflow(dtype: DType, v: Wide, e: F64) -> NonFinite:
    """The infinities that a computed ``v`` ± ``e`` may be, because it may lie beyond the largest finite number."""
    return ALL_FINITE if _in_range(dtype, v, e) else _beyond(dtype, v, _tidy_error(v, e))


def _in_range(dtype: DType, v: Wide, e: F64) -> bool:
    """Whether no number comes near the largest, by two maxima: the common case, cheap to see. False for a NaN."""
    return bool(np.max(np.abs(v.hi), initial=0.0) + np.max(e, initial=0.0) <= dtype.largest)


def _tidy_error(v: Wide, e: F64) -> F64:
    """The error with 0 beside a non-finite number, and ∞ where it is NaN (an error that no rule could bound)."""
    return np.where(np.isfinite(v.hi), np.where(np.isnan(e), np.inf, e), 0.0)


def _beyond(dtype: DType, v: Wide, e: F64) -> NonFinite:
    over, under = v.hi + e > dtype.largest, v.hi - e < -dtype.largest
    if not (over.any() or under.any()):
        return ALL_FINITE
    return NonFinite.of(over & np.isfinite(e), under & np.isfinite(e))


def _partial_sums(dtype: DType, x: Bounded, y: Bounded, axis: int) -> NonFinite:
    """A product, or a partial sum of products in some order, that overflows on the way to a finite dot.

    The extreme partial sums are those of all positive and of all negative products. They are held in the accumulator,
    at least a float32 unless a narrower one is declared; products are rounded to the format. Where both ends overflow
    they may meet as NaN.
    """
    accumulator = min(max(dtype.largest, 2.0**127), accumulator_of(dtype).largest)
    largest = min(dtype.largest, accumulator)
    if np.max(x.size, initial=0.0) * np.max(y.size, initial=0.0) * x.v.hi.shape[axis] < largest:
        return ALL_FINITE
    shape = [1 if place == axis else size for place, size in enumerate(np.broadcast_shapes(x.v.hi.shape, y.v.hi.shape))]
    above, below = np.zeros(shape, bool), np.zeros(shape, bool)
    most, least = np.zeros(shape), np.zeros(shape)
    for part in slices(x.v.hi, y.v.hi, axis):
        products = x.v.hi[part] * y.v.hi[part]
        top, bottom = np.maximum(products, 0), np.minimum(products, 0)
        above |= (top > largest).any(axis=axis, keepdims=True)
        below |= (bottom < -largest).any(axis=axis, keepdims=True)
        most += top.sum(axis=axis, keepdims=True)
        least += bottom.sum(axis=axis, keepdims=True)
    up, down = above | (most > accumulator), below | (least < -accumulator)
    if not (up.any() or down.any()):
        return ALL_FINITE
    return NonFinite.of(up, down, up & down)


def _divisor_lost(dtype: DType, v: Wide, e: F64, y: Bounded) -> NonFinite:
    """NaN beside the infinity of a quotient that overflows, where the format makes a 0 of the divisor.

    As 1e-8 in float16: its reciprocal is an infinity, and contributions made of it may be 0·∞ or meet as ∞ - ∞.
    """
    overflows = np.isfinite(e) & (np.abs(v.hi) + e > dtype.largest)
    nan = overflows & (dtype.round(y.v.hi) == 0)
    none = np.zeros_like(nan)
    return NonFinite.of(none, none, nan) if nan.any() else ALL_FINITE


def by_a_lost_norm(op: str, args: Sequence[Bounded]) -> NonFinite:
    """What x/‖x‖, and g·x made of it, may be where nothing is left of a norm that is not 0: x/0, and 0/0 or 0·∞."""
    *_, x, length = args
    nan = (length.v.hi > 0) & (length.size <= length.e) & np.ones_like(x.v.hi, bool)
    if not nan.any():
        return ALL_FINITE
    infinite = nan & (op == "unit")
    return NonFinite.of(infinite & (x.v.hi + x.e > 0), infinite & (x.v.hi - x.e < 0), nan)


def _infinite(x: Bounded) -> bool:
    """Whether some number is infinite, or may be because it overflows."""
    return bool(x.also) or bool(np.isinf(x.v.hi).any())


def _outcomes(dtype: DType, op: str, args: Sequence[Bounded]) -> list[list[F64]]:
    """For each operand the numbers that it may be: it exactly, and as overflow has it.

    A factor that may be computed as 0, or with the other sign, makes NaN of an infinite one, or the other infinity; so
    it is looked at as these, too, but for a 0 that nothing but underflow could make another number (:data:`LOST`).
    """
    found = [arg.also.alternatives(arg.v.hi) for arg in args]
    if OPERATIONS[op].multiplies:
        for place, arg in enumerate(args):
            some = (arg.size > 0) | (arg.e > LOST * dtype.smallest_normal)
            lost = some & (arg.size <= arg.e) & np.isfinite(arg.e)
            if lost.any() and any(_infinite(other) for other in args if other is not arg):
                ends = (np.zeros_like(arg.e), arg.v.hi + arg.e, arg.v.hi - arg.e)
                found[place] = [*found[place], *(np.where(lost, end, arg.v.hi) for end in ends)]
    return found


def _alternatives(
    rule: Callable[..., Wide], v: Wide, e: F64, outcomes: Sequence[Sequence[F64]], args: Sequence[Bounded]
) -> tuple[F64, NonFinite]:
    """What the operation makes of operands that overflowed: finite results widen ``e``, others become outcomes.

    Errors are widened only where they make a difference: elsewhere ``v`` may be another side of a kink than the rule
    gives, or a limit. An overflow in one example is nothing to another.
    """
    e = e * np.ones_like(v.hi)
    also = NonFinite(np.zeros(v.hi.shape, np.uint8))
    usual = rule(*(Wide(arg.v.hi) for arg in args)).hi
    rows = functools.reduce(np.logical_or, (arg.also.by_example(v.hi.ndim) for arg in args))
    overflown = rows if len(rows) == len(v.hi) else np.asarray(rows.any())  # a sum over the batch
    for operands in itertools.product(*outcomes):
        result = rule(*map(Wide, operands)).hi
        other = (result != usual) & ~(np.isnan(result) & np.isnan(usual))
        also |= NonFinite.in_numbers(np.where(other | overflown, result, 0.0))
        both = other & np.isfinite(result) & np.isfinite(v.hi)
        e = np.where(both, np.maximum(e, np.abs(np.where(both, result - v.hi, 0.0))), e)
    return e, also
