"""The wide reading: whole batches at once, in arithmetic much finer than the format under test.

Arb is certain but slow; a family of 1000 × 1024 numbers needs arrays. For float64 the arithmetic is double-double
(an unevaluated sum ``hi + lo``, about 106 bits); for the narrower formats plain float64 is already 29 or more bits
finer and ``lo`` is absent. No radius is carried, because the error of this arithmetic obeys the very recurrence of
the bound reading with a unit at most 2⁻²⁸ times as large: wherever the bound is not 0 it is below 2⁻²⁶ of it, and
the bound is widened by that much; where the bound is 0 every step is exact here too. ``tests`` hold it against Arb.

Source: Dekker 1971 (products), Knuth TAOCP 4.2.2 (sums); Joldes, Muller, Popescu, Tight and rigorous error bounds
for basic building blocks of double-word arithmetic, 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from flint import arb, ctx

from ..dtypes import F64
from . import exact
from .rounding import two_doubles


class Wide(NamedTuple):
    """An array of numbers ``hi + lo``; ``[B, 1]`` for scalars, ``[B, D]`` for vectors, ``[1, 1]`` for constants."""

    hi: F64
    lo: F64 | None = None


def _tidy(hi: F64, lo: F64) -> Wide:
    """Normalise hi + lo; an infinity or nan has no low part."""
    high = hi + lo
    low = lo - (high - hi)
    return Wide(np.where(np.isfinite(high), high, hi), np.where(np.isfinite(low), low, 0.0))


def two_sum(x: F64, y: F64) -> tuple[F64, F64]:
    """x + y as rounded sum and its exact error."""
    s = x + y
    back = s - x
    return s, (x - (s - back)) + (y - back)


def _split(x: F64) -> tuple[F64, F64]:
    scaled = 134217729.0 * x
    high = scaled - (scaled - x)
    return high, x - high


def two_prod(x: F64, y: F64) -> tuple[F64, F64]:
    """x · y as rounded product and its exact error (barring overflow of the splitting and underflow)."""
    p = x * y
    xh, xl = _split(x)
    yh, yl = _split(y)
    return p, ((xh * yh - p) + xh * yl + xl * yh) + xl * yl


def add(x: Wide, y: Wide) -> Wide:
    if x.lo is None or y.lo is None:
        return Wide(x.hi + y.hi)
    s, error = two_sum(x.hi, y.hi)
    return _tidy(s, error + (x.lo + y.lo))


def neg(x: Wide) -> Wide:
    return Wide(-x.hi, None if x.lo is None else -x.lo)


def mul(x: Wide, y: Wide) -> Wide:
    if x.lo is None or y.lo is None:
        return Wide(x.hi * y.hi)
    p, error = two_prod(x.hi, y.hi)
    return _tidy(p, error + (x.hi * y.lo + x.lo * y.hi))


def div(x: Wide, y: Wide) -> Wide:
    q = x.hi / y.hi
    if x.lo is None or y.lo is None:
        return Wide(q)
    rest = add(x, neg(mul(Wide(q, np.zeros_like(q)), y)))
    return _tidy(q, np.where(np.isfinite(q), rest.hi / y.hi, 0.0))


def maximum(x: Wide, y: Wide) -> Wide:
    if x.lo is None or y.lo is None:
        return Wide(np.maximum(x.hi, y.hi))
    difference = add(x, neg(y)).hi
    first = ~(difference < 0)  # equal infinities differ by nan: either serves; a nan operand must win
    first = np.where(np.isnan(y.hi), False, first | np.isnan(x.hi))
    both_inf = np.isnan(difference) & ~np.isnan(x.hi) & ~np.isnan(y.hi)
    return Wide(np.where(both_inf, np.maximum(x.hi, y.hi), np.where(first, x.hi, y.hi)), np.where(first, x.lo, y.lo))


def total(x: Wide, axis: int = 1) -> Wide:
    """The sum over D (``axis=1``) or over the batch (``axis=0``), kept as a dimension of size 1."""
    if x.lo is None:
        return Wide(x.hi.sum(axis=axis, keepdims=True))
    hi, lo = np.moveaxis(x.hi, axis, 0), np.moveaxis(x.lo, axis, 0)
    if not len(hi):
        hi = lo = np.zeros((1, *hi.shape[1:]))
    while len(hi) > 1:
        half = len(hi) // 2
        paired = add(Wide(hi[:half], lo[:half]), Wide(hi[half : 2 * half], lo[half : 2 * half]))
        assert paired.lo is not None
        odd = slice(2 * half, None)
        hi, lo = np.concatenate([paired.hi, hi[odd]]), np.concatenate([paired.lo, lo[odd]])
    return Wide(np.moveaxis(hi, 0, axis), np.moveaxis(lo, 0, axis))


def sqrt(x: Wide) -> Wide:
    root = np.sqrt(x.hi)
    if x.lo is None:
        return Wide(root)
    square, error = two_prod(root, root)
    rest = ((x.hi - square) - error) + x.lo
    safe = np.isfinite(root) & (root > 0)
    return _tidy(root, np.where(safe, rest / np.where(safe, 2 * root, 1.0), 0.0))


def norm(x: Wide) -> Wide:
    """‖x‖, scaled by a power of two so that no square overflows or underflows; inf beats nothing but nan."""
    largest = np.max(np.abs(x.hi), axis=1, keepdims=True, initial=0.0)
    _, exponent = np.frexp(np.where(np.isfinite(largest), largest, 1.0))
    scaled = Wide(np.ldexp(x.hi, -exponent), None if x.lo is None else np.ldexp(x.lo, -exponent))
    root = sqrt(total(mul(scaled, scaled)))
    return Wide(np.ldexp(root.hi, exponent), None if root.lo is None else np.ldexp(root.lo, exponent))


def step(x: Wide, y: Wide) -> Wide:
    """1 where x > y, 0 where x ≤ y, nan where they do not compare; the bound reading overrides it at kinks."""
    difference = add(x, neg(y)).hi
    return _whole(np.where(np.isnan(difference), np.nan, (difference > 0).astype(np.float64)), x)


def _whole(hi: F64, like: Wide) -> Wide:
    return Wide(hi, None if like.lo is None else np.zeros_like(hi))


def unit(x: Wide, length: Wide) -> Wide:
    quotient = div(x, length)
    zero = length.hi == 0
    low = None if quotient.lo is None else np.where(zero, 0.0, quotient.lo)
    return Wide(np.where(zero, 0.0, quotient.hi), low)


def where(label: Wide, value: Wide, x: Wide, y: Wide) -> Wide:
    chosen = label.hi == value.hi
    hi = np.where(np.isnan(label.hi), np.nan, np.where(chosen, x.hi, y.hi))
    return Wide(hi, None if x.lo is None or y.lo is None else np.where(chosen, x.lo, y.lo))


def _through_arb(name: str) -> Callable[[Wide], Wide]:
    """A transcendental function of double-doubles: one Arb call per number (they occur once per example)."""
    rule = exact.ELEMENTWISE[name]

    def one(hi: float, lo: float) -> tuple[float, float]:
        x = exact.lift(hi)
        return two_doubles(rule(exact.Choice(), x if isinstance(x, float) else x + arb(lo)))

    def function(x: Wide) -> Wide:
        assert x.lo is not None
        before, ctx.prec = ctx.prec, 160
        try:
            hi, lo = x.hi.astype(np.float64).ravel().tolist(), x.lo.astype(np.float64).ravel().tolist()
            pairs = [one(*pair) for pair in zip(hi, lo, strict=True)]
        finally:
            ctx.prec = before
        both = np.array(pairs, dtype=np.float64).reshape(*x.hi.shape, 2)
        return Wide(both[..., 0], both[..., 1])

    return function


def _function(name: str, plain: Callable[[F64], F64]) -> Callable[[Wide], Wide]:
    fine = _through_arb(name)
    return lambda x: Wide(plain(x.hi)) if x.lo is None else fine(x)


def softplus(x: F64) -> F64:
    """log(1 + exp(x)) in float64, without overflow."""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def sigmoid(x: F64) -> F64:
    """1 / (1 + exp(-x)) in float64, without overflow."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1 + small))


def fork(*xs: Wide) -> Wide:
    result = xs[0]
    for x in xs[1:]:
        result = add(result, x)
    return result


RULES: Mapping[str, Callable[..., Wide]] = {
    "add": add, "sub": lambda x, y: add(x, neg(y)), "mul": mul, "div": div, "neg": neg,
    "square": lambda x: mul(x, x), "max": maximum, "min": lambda x, y: neg(maximum(neg(x), neg(y))),
    "relu": lambda x: maximum(x, _whole(np.zeros_like(x.hi), x)), "abs": lambda x: maximum(x, neg(x)),
    "exp": _function("exp", np.exp), "expm1": _function("expm1", np.expm1),
    "log": _function("log", np.log), "log1p": _function("log1p", np.log1p), "sqrt": sqrt,
    "softplus": _function("softplus", softplus), "sigmoid": _function("sigmoid", sigmoid),
    "sum": total, "dot": lambda x, y: total(mul(x, y)), "sqnorm": lambda x: total(mul(x, x)), "norm": norm,
    "step": step, "sign": lambda x: _whole(2 * step(x, neg(x)).hi - 1, x),
    "unit": unit, "radial": mul,
    "spread": lambda x: x, "fork": fork, "either": lambda x, *others: x, "where": where,
}  # fmt: skip
