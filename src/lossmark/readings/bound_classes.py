"""Bounds of operations along an axis of classes: the largest, log-sum-exp, softmax, and the entry at a label.

Any order, any number of chunks, and the shift by the largest or by a running maximum conform. With m the largest of v,
S = Σ exp(vⱼ - m), L = m + log S and p = exp(v - L), a the unit roundoff of the accumulator and k the units in the last
place of a function, what is computed for S is off by a relative error of at most

    δ = Σ pⱼ·a·(|vⱼ - m| + 2k + r·(2k + 1)) + (n - 1)·a,

over all j but the one of the largest v, whose exp(0) = 1 is exact: for the differences, the exponentials, the
r ≤ min(n - 1, 1 + log₂ n) times that a running maximum is replaced in a tree or, on average, in a row, which rescales
what came before the largest, and the sum of n terms. The inside is counted with a in 16 bits too: a format that holds
8 bits cannot tell 1 - p from 1.

Where one class alone is not -∞, S is exp(0) = 1 and nothing is rounded.

Source: Blanchard, Higham, Higham, Accurately computing the log-sum-exp and softmax functions, IMA J. Numer. Anal. 41,
2021, whose bounds are these with a shift that is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64
from .arithmetic import ULPS, Arithmetic
from .double_double import Wide
from .overflow import Bounded
from .wide import picked, scattered, side_by_side
from .wide import softmax as wide_softmax

_EXP, _LOG = 2 * ULPS["exp"], 2 * ULPS["log"]
"""The relative errors of the two in units of a."""


def largest(arithmetic: Arithmetic, v: Wide, x: Bounded, axis: int) -> F64:
    """The largest error of those that may be the largest; nothing is rounded."""
    within = x.v.hi + x.e >= np.max(x.v.hi - x.e, axis=axis, keepdims=True)
    return np.asarray(np.max(np.where(within, x.e, 0.0), axis=axis, keepdims=True))


def lse(arithmetic: Arithmetic, v: Wide, x: Bounded, axis: int) -> F64:
    """The error of L, from those of v: at most the largest of them, and log Σ pⱼ·exp(eⱼ).

    Then δ through the logarithm, the logarithm's own, and m + log S in the accumulator, before one rounding.
    """
    a = arithmetic.dtype.a
    x = Bounded(x.v, arithmetic.entering(x.v, x.e))
    shares = _shares(x, v)
    inside = -np.log1p(-np.minimum(_relative(arithmetic, x, shares, axis), 0.5))
    most = _finite(np.max(x.v.hi, axis=axis, keepdims=True))
    whole = _finite(v.hi)
    e = _propagated(x, shares, axis) + inside
    e = e + np.where(_count(x, axis) > 1, _LOG * a * np.abs(whole - most) + a * (np.abs(most) + np.abs(whole)), 0.0)
    return e + arithmetic.eta(v, e) if arithmetic.dtype.accumulator_p == arithmetic.dtype.p else arithmetic.round(v, e)


def softmax(arithmetic: Arithmetic, v: Wide, x: Bounded, axis: int) -> F64:
    """The error of p = exp(v - L), in the accumulator: relative, that of v and of L, of the difference, and δ.

    L = m + log S is rounded, too, so a common offset costs digits unless it is taken away before; in (v - m) - log S
    the first difference is rounded instead, but where m is 0.
    """
    a = arithmetic.dtype.a
    shares = v.hi
    exponent = np.abs(np.log(np.where(shares > 0, shares, 1.0)))
    relative = _relative(arithmetic, x, shares, axis) + a * exponent
    relative = relative + _LOG * a * np.log(np.maximum(np.count_nonzero(shares, axis=axis, keepdims=True), 1))
    relative = relative + np.where(_count(x, axis) > 1, a * (_EXP + _away(x, axis)), 0.0)
    moved = np.expm1(np.where(np.isfinite(x.v.hi), x.e, 0.0) + _propagated(x, shares, axis))
    e = np.where(shares > 0, shares * (moved + (1 + moved) * relative), 0.0)
    return e + arithmetic.eta(v, e)


def joint_lse(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded, axis: int) -> F64:
    """The error of the log-sum-exp of the terms of both, which may be added up in any order."""
    return lse(arithmetic, v, _side_by_side(x, y, axis), axis)


def joint_softmax(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded, axis: int) -> F64:
    """The error of the shares of x among those of both."""
    joined = _side_by_side(x, y, axis)
    shares = Wide(wide_softmax(joined.v, axis).hi)
    return np.take(softmax(arithmetic, shares, joined, axis), range(v.hi.shape[axis]), axis)


def depth(arithmetic: Arithmetic, v: Wide, x: Bounded, some: Bounded, axis: int) -> F64:
    """The error of x less the largest of ``some``: none where that stands, which is the same computed number.

    Where it is not decided which of them is the largest, each has the error of a difference of two.
    """
    most = largest(arithmetic, v, some, axis)
    e = arithmetic.round(v, x.e + most)
    others = some.v.hi + some.e
    np.put_along_axis(others, np.argmax(others, axis=axis, keepdims=True), -np.inf, axis)
    others = np.max(others, axis=axis, keepdims=True)
    alone = (some.v.hi - some.e > others) & np.isfinite(some.v.hi)
    return np.where(alone, 0.0, e)


def whole(arithmetic: Arithmetic, v: Wide, *parts: Bounded, axis: int) -> F64:
    """The error of Σⱼ g·pⱼ where it is added up, from what computing pⱼ costs: all may be off in one direction.

    Errors of the numbers that p is taken of do no harm, for shares of any numbers make 1. Who takes g is off by less.
    """
    *logits, factor = parts
    joined = logits[0].v if len(logits) == 1 else side_by_side(logits[0].v, logits[1].v, axis)
    alone = Bounded(joined, np.zeros_like(joined.hi))
    e = np.sum(softmax(arithmetic, Wide(wide_softmax(joined, axis).hi), alone, axis), axis=axis, keepdims=True)
    e = e + arithmetic.dtype.additions(_count(alone, axis)) * arithmetic.dtype.a
    return np.asarray(factor.e + (np.abs(v.hi) + factor.e) * e)


def _side_by_side(x: Bounded, y: Bounded, axis: int) -> Bounded:
    here, there = (Wide(np.broadcast_to(one.e, one.v.hi.shape)) for one in (x, y))
    return Bounded(side_by_side(x.v, y.v, axis), side_by_side(here, there, axis).hi)


def pick(arithmetic: Arithmetic, v: Wide, x: Bounded, label: Bounded, axis: int) -> F64:
    """The error of the entry."""
    return picked(np.broadcast_to(x.e, x.v.hi.shape), label.v.hi, axis)


def scatter(arithmetic: Arithmetic, v: Wide, g: Bounded, label: Bounded, like: Bounded, axis: int) -> F64:
    """The error of g where it stands."""
    return scattered(np.broadcast_to(g.e, g.v.hi.shape), label.v.hi, like.v.hi.shape[axis], axis)


def gap(arithmetic: Arithmetic, v: Wide, x: Bounded, label: Bounded, axis: int) -> F64:
    """The error of xᵢ - x_y, a difference of two computed numbers: none at y, where both are the same number."""
    places = np.arange(x.v.hi.shape[axis]).reshape([-1 if place == axis else 1 for place in range(x.v.hi.ndim)])
    entry = pick(arithmetic, v, x, label, axis)
    return np.where(places == label.v.hi, 0.0, arithmetic.round(v, x.e + entry))


def _finite(x: F64) -> F64:
    return np.where(np.isfinite(x), x, 0.0)


def _offset(x: Bounded, axis: int) -> F64:
    """How large the largest is, and with it the log-sum-exp, which is log n more at most."""
    most = np.abs(_finite(np.max(x.v.hi, axis=axis, keepdims=True)))
    return np.asarray(2 * most + np.log(np.maximum(_count(x, axis), 1)))


def _away(x: Bounded, axis: int) -> F64:
    """How large the numbers are that are rounded before log S, or with it, is taken away: m and L, or v - m."""
    most = _finite(np.max(x.v.hi, axis=axis, keepdims=True))
    below = np.where((most == 0) | ~np.isfinite(x.v.hi), 0.0, most - x.v.hi)
    return np.maximum(_offset(x, axis), below)


def _shares(x: Bounded, v: Wide) -> F64:
    """p, which is 0 at -∞."""
    return np.asarray(np.exp(_finite(x.v.hi) - _finite(v.hi)) * np.isfinite(x.v.hi))


def _propagated(x: Bounded, shares: F64, axis: int) -> F64:
    """min(max eⱼ, log1p(Σ pⱼ·expm1(eⱼ))) over the terms that count; the first where exp overflows."""
    e = np.where(shares > 0, x.e, 0.0)
    with np.errstate(over="ignore"):
        joined = np.log1p(np.sum(shares * np.expm1(e), axis=axis, keepdims=True))
    return np.asarray(np.minimum(np.max(e, axis=axis, keepdims=True), joined))


def _relative(arithmetic: Arithmetic, x: Bounded, shares: F64, axis: int) -> F64:
    """δ, the relative error of the computed S."""
    a = arithmetic.dtype.a
    some: NDArray[np.bool_] = np.isfinite(x.v.hi)
    most = _finite(np.max(x.v.hi, axis=axis, keepdims=True))
    below = np.where(some, np.abs(x.v.hi - most), 0.0)
    n = np.maximum(_count(x, axis), 1)
    rescaled = np.minimum(n - 1, 1 + np.log2(n)) * (_EXP + 1)
    each = shares * a * (below + _EXP + rescaled)
    largest_of_all = np.max(shares, axis=axis, keepdims=True) * a * (_EXP + rescaled)
    others = np.maximum(np.sum(each, axis=axis, keepdims=True) - largest_of_all, 0.0)
    return np.asarray(others + arithmetic.dtype.additions(n) * a)


def _count(x: Bounded, axis: int) -> NDArray[np.intp]:
    """How many of the terms count: those that are finite."""
    return np.asarray(np.count_nonzero(np.isfinite(x.v.hi), axis=axis, keepdims=True))
