"""The exact reading of operations along an axis, from the scalars along it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from flint import arb

from .balls import BALL_FUNCTIONS, Real, any_nan
from .balls import sign as sign_of
from .convention import LIMIT, Convention
from .exact_scalars import add, div, maximum, mul, square, sub

Vector = Sequence[Real]
"""Scalars along an axis."""


def total(xs: Sequence[Real]) -> Real:
    """The sum of scalars."""
    result: Real = arb(0)
    for x in xs:
        result = add(result, x)
    return result


def dot(xs: Vector, ys: Vector, convention: Convention) -> Real:
    """Σxᵢyᵢ, where 0·∞ is what the convention says."""
    return total([mul(x, y, convention) for x, y in zip(xs, ys, strict=True)])


def mean(xs: Vector) -> Real:
    """Σxᵢ/n."""
    return div(total(xs), count(xs))


def count(xs: Vector) -> Real:
    """n."""
    return arb(len(xs))


def largest(xs: Vector) -> Real:
    """The largest, nan where one is."""
    return functools.reduce(maximum, xs)


def lse(xs: Vector, convention: Convention) -> Real:
    """log Σ exp(xᵢ), shifted by one of the largest; -∞ of nothing but -∞; of ∞ what the convention says."""
    if any_nan(*xs):
        return math.nan
    finite = [x for x in xs if not isinstance(x, float)]
    if any(isinstance(x, float) and x > 0 for x in xs):
        return math.inf if convention.limit else math.nan
    if not finite:
        return -math.inf
    shift = max(finite, key=lambda x: float(x.mid()))
    return shift + sum(((x - shift).exp() for x in finite), arb(0)).log()


def softmax(xs: Vector) -> Vector:
    """exp(xᵢ - lse(x)): 0 at -∞; as the difference has it where the lse is an infinity or nan."""
    whole = lse(xs, LIMIT)
    return [BALL_FUNCTIONS["exp"](sub(x, whole)) for x in xs]


def joint_lse(xs: Vector, ys: Vector, convention: Convention) -> Real:
    """log(Σ exp(xᵢ) + Σ exp(yᵢ))."""
    return lse([*xs, *ys], convention)


def joint_softmax(xs: Vector, ys: Vector) -> Vector:
    """exp(xᵢ - joint_lse(x, y))."""
    return softmax([*xs, *ys])[: len(xs)]


def depth(xs: Vector, some: Vector, convention: Convention) -> Vector:
    """xᵢ less the largest of ``some``; exactly 0 at the one of them that is no infinity, where there is one alone.

    Where all of them are -∞ and something else is finite, the limit of -∞ less itself is 0.
    """
    most = largest(some)
    here = next((index for index, x in enumerate(some) if x is most and isinstance(x, arb)), -1)
    none = convention.limit and most == -math.inf and any(isinstance(x, arb) for x in xs)
    return [arb(0) if index == here or (none and x == most) else sub(x, most) for index, x in enumerate(xs)]


def whole(*vectors: Vector) -> Real:
    """The factor, which is the same all along the axis."""
    return vectors[-1][0]


def pick(xs: Vector, labels: Vector) -> Real:
    """The entry at the label, which is the same all along the axis; 0 where it is no index."""
    place = _index(labels[0])
    return xs[place] if place is not None and 0 <= place < len(xs) else arb(0)


def gap(xs: Vector, labels: Vector, convention: Convention) -> Vector:
    """xᵢ less the entry at the label; 0 there, but what the convention says where that is infinite."""
    entry, place = pick(xs, labels), _index(labels[0])
    own = arb(0) if convention.limit and not any_nan(entry) else sub(entry, entry)
    return [own if index == place else sub(x, entry) for index, x in enumerate(xs)]


def scatter(gs: Vector, labels: Vector, like: Vector) -> Vector:
    """g at the label, else 0."""
    place = _index(labels[0])
    return [g if index == place else arb(0) for index, g in enumerate(gs)]


def _index(label: Real) -> int | None:
    return None if isinstance(label, float) else int(float(label.mid()))


def sqnorm(xs: Vector) -> Real:
    """Σxᵢ²."""
    return total([square(x) for x in xs])


def norm(xs: Vector) -> Real:
    """‖x‖; an infinite component makes it ∞, unless another is nan."""
    if any_nan(*xs):
        return math.nan
    if any(isinstance(x, float) for x in xs):
        return math.inf
    squared = sum((x * x for x in xs), arb(0))
    assert not isinstance(squared, float)
    return squared.sqrt() if sign_of(squared) else arb(0)
