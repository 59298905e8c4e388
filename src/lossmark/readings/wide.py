"""The wide reading: whole batches at once, in arithmetic much finer than the format under test.

Arb is certain but slow; a family of 1000 × 1024 numbers needs arrays. For float64 the arithmetic is double-double,
about 106 bits; for the narrower formats plain float64 is already 29 or more bits finer. No radius is carried, because
the error of this arithmetic obeys the very recurrence of the bound reading with a unit at most 2⁻²⁸ times as large:
wherever the bound is not 0 it is below 2⁻²⁶ of it, and the bound is widened by that much; where the bound is 0 every
step is exact here too. ``tests`` hold it against Arb.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..dtypes import F64
from .contraction import product_sums
from .double_double import Wide, add, div, mul, neg, sqrt, sub, total
from .wide_functions import WIDE_FUNCTIONS


def square(x: Wide) -> Wide:
    """x²."""
    return mul(x, x)


def xlogy(x: Wide, y: Wide) -> Wide:
    """x·log(y), and 0 where x is 0 and y is no NaN."""
    return _unless_zero(x, y, mul(x, WIDE_FUNCTIONS["log"](y)))


def xdivy(x: Wide, y: Wide) -> Wide:
    """x/y, and 0 where x is 0 and y is no NaN."""
    return _unless_zero(x, y, div(x, y))


def _unless_zero(x: Wide, y: Wide, otherwise: Wide) -> Wide:
    zero = (x.hi == 0) & ~np.isnan(y.hi)
    low = None if otherwise.lo is None else np.where(zero, 0.0, otherwise.lo)
    return Wide(np.where(zero, 0.0, otherwise.hi), low)


def maximum(x: Wide, y: Wide) -> Wide:
    """max(x, y), and NaN where either is."""
    if x.lo is None or y.lo is None:
        return Wide(np.maximum(x.hi, y.hi))
    difference = sub(x, y).hi
    first = ~(difference < 0)  # equal infinities differ by nan: either serves; a nan operand must win
    first = np.where(np.isnan(y.hi), False, first | np.isnan(x.hi))
    both_inf = np.isnan(difference) & ~np.isnan(x.hi) & ~np.isnan(y.hi)
    return Wide(np.where(both_inf, np.maximum(x.hi, y.hi), np.where(first, x.hi, y.hi)), np.where(first, x.lo, y.lo))


def minimum(x: Wide, y: Wide) -> Wide:
    """min(x, y) = -max(-x, -y)."""
    return neg(maximum(neg(x), neg(y)))


def relu(x: Wide) -> Wide:
    """max(x, 0)."""
    return maximum(x, _whole(np.zeros_like(x.hi), x))


def absolute(x: Wide) -> Wide:
    """|x| = max(x, -x)."""
    return maximum(x, neg(x))


def sqnorm(x: Wide, axis: int) -> Wide:
    """Σxᵢ² along an axis."""
    return total(mul(x, x), axis)


def norm(x: Wide, axis: int) -> Wide:
    """‖x‖, scaled by a power of two so that no square overflows or underflows; inf beats nothing but nan."""
    largest = np.max(np.abs(x.hi), axis=axis, keepdims=True, initial=0.0)
    _, exponent = np.frexp(np.where(np.isfinite(largest), largest, 1.0))
    scaled = Wide(np.ldexp(x.hi, -exponent), None if x.lo is None else np.ldexp(x.lo, -exponent))
    root = sqrt(total(mul(scaled, scaled), axis))
    return Wide(np.ldexp(root.hi, exponent), None if root.lo is None else np.ldexp(root.lo, exponent))


def mean(x: Wide, axis: int) -> Wide:
    """Σxᵢ/n."""
    return div(total(x, axis), count(x, axis))


def count(x: Wide, axis: int) -> Wide:
    """n."""
    one = np.ones([1] * x.hi.ndim)
    return Wide(x.hi.shape[axis] * one, None if x.lo is None else 0 * one)


def largest(x: Wide, axis: int) -> Wide:
    """The largest along an axis, NaN where one is."""
    hi = np.max(x.hi, axis=axis, keepdims=True)
    if x.lo is None:
        return Wide(hi)
    lo = np.max(x.lo, axis=axis, keepdims=True, where=x.hi == hi, initial=-np.inf)
    return Wide(hi, np.where(np.isfinite(hi), lo, 0.0))


def lse(x: Wide, axis: int) -> Wide:
    """log Σ exp(xᵢ), shifted by the largest; an infinity where that is one."""
    most = largest(x, axis)
    shift, _, log = _shifted(x, axis)
    found = add(shift, log)
    return found._replace(hi=np.where(np.isfinite(most.hi), found.hi, most.hi))


def softmax(x: Wide, axis: int) -> Wide:
    """exp(xᵢ - lse(x)), shifted by the largest first; NaN where nothing or an infinity is left."""
    _, below, log = _shifted(x, axis)
    return WIDE_FUNCTIONS["exp"](sub(below, log))


def _shifted(x: Wide, axis: int) -> tuple[Wide, Wide, Wide]:
    """The largest, or 0 where it is not finite; x less that; and log Σ exp of what is left."""
    most = largest(x, axis)
    shift = Wide(np.where(np.isfinite(most.hi), most.hi, 0.0), most.lo)
    below = sub(x, shift)
    return shift, below, WIDE_FUNCTIONS["log"](total(WIDE_FUNCTIONS["exp"](below), axis))


def side_by_side(x: Wide, y: Wide, axis: int) -> Wide:
    """The entries of both along an axis."""
    shape = np.broadcast_shapes(x.hi.shape, y.hi.shape)
    low = None
    if x.lo is not None and y.lo is not None:
        low = np.concatenate([np.broadcast_to(x.lo, shape), np.broadcast_to(y.lo, shape)], axis)
    return Wide(np.concatenate([np.broadcast_to(x.hi, shape), np.broadcast_to(y.hi, shape)], axis), low)


def joint_lse(x: Wide, y: Wide, axis: int) -> Wide:
    """log(Σ exp(xᵢ) + Σ exp(yᵢ))."""
    return lse(side_by_side(x, y, axis), axis)


def joint_softmax(x: Wide, y: Wide, axis: int) -> Wide:
    """exp(xᵢ - joint_lse(x, y)): the first of the shares of both."""
    shares = softmax(side_by_side(x, y, axis), axis)
    first = [slice(x.hi.shape[axis]) if place == axis % x.hi.ndim else slice(None) for place in range(x.hi.ndim)]
    return Wide(shares.hi[tuple(first)], None if shares.lo is None else shares.lo[tuple(first)])


def depth(x: Wide, some: Wide, axis: int) -> Wide:
    """x less the largest of ``some``."""
    return sub(x, largest(some, axis))


def depth_in_the_limit(v: Wide, x: Wide, axis: int) -> Wide:
    """The difference ``v``, 0 where it is that of -∞ to itself and something finite is left."""
    some = np.isfinite(x.hi).any(axis=axis, keepdims=True)
    return v._replace(hi=np.where(np.isnan(v.hi) & (x.hi == -np.inf) & some, 0.0, v.hi))


def whole(*parts: Wide, axis: int) -> Wide:
    """The factor."""
    shape = list(np.broadcast_shapes(*(part.hi.shape for part in parts)))
    shape[axis] = 1
    factor = parts[-1]
    return Wide(np.broadcast_to(factor.hi, shape), None if factor.lo is None else np.broadcast_to(factor.lo, shape))


def pick(x: Wide, label: Wide, axis: int) -> Wide:
    """The entry at the label; 0 where it is no index."""
    return Wide(picked(x.hi, label.hi, axis), None if x.lo is None else picked(x.lo, label.hi, axis))


def gap(x: Wide, label: Wide, axis: int) -> Wide:
    """x less the entry at the label."""
    return sub(x, pick(x, label, axis))


def scatter(g: Wide, label: Wide, like: Wide, axis: int) -> Wide:
    """g at the label, else 0."""
    length = like.hi.shape[axis]
    low = None if g.lo is None else scattered(g.lo, label.hi, length, axis)
    return Wide(scattered(g.hi, label.hi, length, axis), low)


def picked(array: F64, label: F64, axis: int) -> F64:
    """The entries at labels along an axis, which the labels have with size 1; 0 where they are no index."""
    here = (label >= 0) & (label < array.shape[axis])
    shape = list(np.broadcast_shapes(array.shape, label.shape))
    shape[axis] = 1
    place = np.broadcast_to(np.where(here, label, 0).astype(np.intp), shape)
    shape[axis] = array.shape[axis]
    return np.where(here, np.take_along_axis(np.broadcast_to(array, shape), place, axis), 0.0)


def scattered(array: F64, label: F64, length: int, axis: int) -> F64:
    """The numbers at labels along an axis of some length, else 0."""
    places = np.arange(length).reshape([-1 if place == axis else 1 for place in range(array.ndim)])
    return np.where(places == label, array, 0.0)


def step(x: Wide, y: Wide) -> Wide:
    """1 where x > y, 0 where x ≤ y, nan where they do not compare; at a kink the joined reading sets it."""
    difference = sub(x, y).hi
    return _whole(np.where(np.isnan(difference), np.nan, (difference > 0).astype(np.float64)), x)


def sign(x: Wide) -> Wide:
    """1 where x > 0, else -1, nan where x is nan; at a kink as for ``step``."""
    return _whole(2 * step(x, neg(x)).hi - 1, x)


def _whole(hi: F64, like: Wide) -> Wide:
    """Numbers without a low part, in the arithmetic of ``like``."""
    return Wide(hi, None if like.lo is None else np.zeros_like(hi))


def unit(x: Wide, length: Wide) -> Wide:
    """x/‖x‖ from a vector and its length, and 0 where the length is 0."""
    quotient = div(x, length)
    zero = length.hi == 0
    low = None if quotient.lo is None else np.where(zero, 0.0, quotient.lo)
    return Wide(np.where(zero, 0.0, quotient.hi), low)


def radial(g: Wide, x: Wide, length: Wide) -> Wide:
    """g·x; the length serves the bound alone."""
    return mul(g, x)


def equal(x: Wide, y: Wide) -> Wide:
    """1 where x is y, else 0; a NaN label counts as a NaN input and reaches the result."""
    return _whole(np.where(np.isnan(x.hi + y.hi), np.nan, (x.hi == y.hi).astype(np.float64)), x)


def negated(condition: Wide) -> Wide:
    """1 where a condition is false."""
    return _whole(1 - condition.hi, condition)


def both(x: Wide, y: Wide) -> Wide:
    """1 where two conditions are true."""
    return _whole(x.hi * y.hi, x)


def where(condition: Wide, x: Wide, y: Wide) -> Wide:
    """x where the condition is true, else y."""
    chosen = condition.hi == 1
    hi = np.where(np.isnan(condition.hi), np.nan, np.where(chosen, x.hi, y.hi))
    return Wide(hi, None if x.lo is None or y.lo is None else np.where(chosen, x.lo, y.lo))


def only(condition: Wide, x: Wide) -> Wide:
    """x where the condition is true, else -∞."""
    return where(condition, x, _whole(np.full_like(x.hi, -np.inf), x))


def swap(x: Wide, axis: int) -> Wide:
    """The batch, which is the first axis, and another exchanged."""
    return Wide(np.swapaxes(x.hi, 0, axis), None if x.lo is None else np.swapaxes(x.lo, 0, axis))


def logaddexp(x: Wide, y: Wide) -> Wide:
    """log(exp(x) + exp(y)), as the log-sum-exp of two."""
    low = None if x.lo is None or y.lo is None else np.stack(np.broadcast_arrays(x.lo, y.lo), -1)
    found = lse(Wide(np.stack(np.broadcast_arrays(x.hi, y.hi), -1), low), axis=-1)
    return Wide(found.hi[..., 0], None if found.lo is None else found.lo[..., 0])


def fork(*xs: Wide) -> Wide:
    """The sum of contributions, in their order."""
    result = xs[0]
    for x in xs[1:]:
        result = add(result, x)
    return result


def first(x: Wide, *others: Wide) -> Wide:
    """The first of equal numbers; of a single one, that one."""
    return x


RULES: Mapping[str, Callable[..., Wide]] = {
    "add": add, "sub": sub, "mul": mul, "div": div, "neg": neg, "square": square, "sqrt": sqrt,
    "xlogy": xlogy, "xdivy": xdivy,
    "max": maximum, "min": minimum, "relu": relu, "abs": absolute, **WIDE_FUNCTIONS,
    "logaddexp": logaddexp,
    "where": where, "only": only, "equal": equal, "not": negated, "both": both, "swap": swap,
    "largest": largest, "lse": lse, "softmax": softmax, "pick": pick, "scatter": scatter, "gap": gap, "detach": first,
    "joint_lse": joint_lse, "joint_softmax": joint_softmax, "depth": depth, "any": largest,
    "whole": whole,
    "sum": total, "mean": mean, "count": count, "dot": product_sums, "sqnorm": sqnorm, "norm": norm,
    "step": step, "sign": sign, "unit": unit, "radial": radial, "spread": first, "fork": fork, "either": first,
}  # fmt: skip
"""The rule of each operation: from the wide numbers of its operands to those of its result."""
