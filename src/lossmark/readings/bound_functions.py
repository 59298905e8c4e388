"""Bounds of functions: the largest change over [x - e, x + e], in closed form, plus so many units in the last place.

A function of one operand is monotone there, or on either side of 0 alike, so that the change is largest at an end.
"""

from __future__ import annotations

import numpy as np

from ..dtypes import F64
from . import bound_classes as classes
from .arithmetic import ULPS, Arithmetic
from .double_double import Wide
from .overflow import Bounded
from .wide_functions import stable_sigmoid

_LARGEST_EXPONENT = 700.0
"""exp of it is finite in float64."""


def _function(arithmetic: Arithmetic, name: str, v: Wide, change: F64, more: F64 | float = 0.0) -> F64:
    e = change + (ULPS[name] + more) * arithmetic.dtype.ulp(v.hi)
    return e + arithmetic.eta(v, e)


def _log_change(x: F64, e: F64) -> F64:
    """log(x) - log(x - e) = log1p(e / (x - e)), ∞ where x - e is not positive."""
    low = x - e
    return np.where(low > 0, np.log1p(e / np.where(low > 0, low, 1.0)), np.inf)


def exp(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """exp(x + e) - exp(x) = exp(x)·expm1(e)."""
    return _function(arithmetic, "exp", v, np.abs(v.hi) * np.expm1(x.e))


def expm1(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """expm1(x + e) - expm1(x) = exp(x)·expm1(e)."""
    return _function(arithmetic, "expm1", v, np.abs(v.hi + 1) * np.expm1(x.e))


def log(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """log(x) - log(x - e) = log1p(e / (x - e))."""
    return _function(arithmetic, "log", v, _log_change(x.v.hi, x.e))


def log1p(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """As ``log``, at 1 + x."""
    return _function(arithmetic, "log1p", v, _log_change(x.v.hi + 1, x.e))


def softplus(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """softplus(x + e) - softplus(x) = log1p(σ(x)·expm1(e)), and never more than e, because its slope is below 1.

    Where exp(e) overflows it is e.
    """
    change = np.log1p(stable_sigmoid(x.v.hi) * np.expm1(np.minimum(x.e, _LARGEST_EXPONENT)))
    return _function(arithmetic, "softplus", v, np.where(x.e > _LARGEST_EXPONENT, x.e, np.minimum(change, x.e)))


def sigmoid(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """|σ(x ± e) - σ(x)| ≤ σ(x)·σ(-x)·expm1(e), and never more than 1; as it stands where exp(e) overflows.

    |x| ulp are granted beside the 4, because exp(x - softplus(x)) carries the rounding of its exponent, which for
    positive x ends where softplus(x) is x, and for negative x where σ(x) underflows.
    """
    s = stable_sigmoid(x.v.hi)
    change = s * stable_sigmoid(-x.v.hi) * np.expm1(np.minimum(x.e, _LARGEST_EXPONENT))
    direct = np.maximum(stable_sigmoid(x.v.hi + x.e) - s, s - stable_sigmoid(x.v.hi - x.e))
    change = np.where(x.e > _LARGEST_EXPONENT, direct, change)
    dtype = arithmetic.dtype
    exponent = np.where(x.v.hi < 0, np.minimum(x.size, 2.0 * -dtype.emin), np.minimum(x.size, dtype.p))
    return _function(arithmetic, "sigmoid", v, np.minimum(change, 1.0), exponent)


def tanh(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """tanh(|x|) - tanh(|x| - e) = sinh(e) / (cosh(x)·cosh(|x| - e)), which is the change towards 0, the larger one."""
    half = _LARGEST_EXPONENT / 2
    size, e = np.minimum(x.size, half), np.minimum(x.e, half)
    return _function(arithmetic, "tanh", v, np.sinh(e) / np.cosh(size) / np.cosh(size - e))


def logcosh(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """logcosh(|x| + e) - logcosh(x) ≤ e·tanh(|x| + e)."""
    change = np.where(x.e == 0, 0.0, x.e * np.tanh(x.size + x.e))
    return _function(arithmetic, "logcosh", v, change)


def log1mexp(arithmetic: Arithmetic, v: Wide, x: Bounded) -> F64:
    """log1mexp(x) - log1mexp(x - e) = -log1p(-expm1(e)/expm1(x)), ∞ where x - e is not positive."""
    safe = np.where(x.v.hi > x.e, x.v.hi, 1.0)
    ratio = np.expm1(np.where(x.v.hi > x.e, x.e, 0.0)) / np.expm1(safe)
    change = np.where(x.v.hi > x.e, -np.log1p(-ratio), np.where(x.e > 0, np.inf, 0.0))
    return _function(arithmetic, "log1mexp", v, change)


def logaddexp(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """That of the log-sum-exp of two."""
    both = [np.stack(np.broadcast_arrays(*parts), -1) for parts in ((x.v.hi, y.v.hi), (x.e, y.e))]
    shape = both[0].shape
    joined = Bounded(Wide(both[0]), np.broadcast_to(both[1], shape))
    return classes.lse(arithmetic, Wide(v.hi[..., None]), joined, axis=-1)[..., 0]


def power(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """|x̂^ŷ - x^y|: v·expm1(|y|·|log1p(±e_x/x)|), in which an exponent that is rounded adds e_y·|log x|.

    3|y·log x| ulp are granted beside the 4, for exp(y·log(x)); none where x or the exponent is exactly 0 or 1.
    """
    return _raised(arithmetic, v, x, y)


def power_slope(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """As ``power`` at y - 1, which is rounded, and the product with y."""
    exponent = Bounded(Wide(y.v.hi - 1), arithmetic.round(Wide(y.v.hi - 1), y.e))
    raised = _raised(arithmetic, v, x, exponent)
    e = raised + y.e * np.abs(v.hi / np.where(y.v.hi == 0, 1.0, y.v.hi))
    return np.where((y.v.hi == 0) & (y.e == 0), 0.0, arithmetic.round(v, e))


def _raised(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """The error of ``v``, a power or a multiple of one."""
    base = np.where(x.v.hi > 0, x.v.hi, 1.0)
    logarithm = np.abs(np.log(base))
    ratio = np.minimum(x.e / base, 1.0)
    steps = np.maximum(np.log1p(ratio), np.where(y.v.hi < 0, -np.log1p(-ratio), 0.0))
    down = np.where(y.v.hi > 0, -np.expm1(y.size * np.log1p(-ratio)), 0.0)
    more = np.minimum(y.size * steps + y.e * (logarithm + steps), _LARGEST_EXPONENT)
    change = np.abs(v.hi) * np.maximum(np.expm1(more), down)
    at_zero = np.where(y.v.hi > 0, x.e ** np.maximum(y.v.hi, 0.0), np.where((y.v.hi == 0) | (x.e == 0), 0.0, np.inf))
    change = np.where(x.v.hi > 0, change, at_zero)
    trivial = ((y.v.hi == 0) | (y.v.hi == 1) | (x.v.hi == 1) | (x.v.hi == 0)) & (x.e == 0) & (y.e == 0)
    exponent = np.minimum(3 * y.size * logarithm, 2.0 * -arithmetic.dtype.emin)
    return np.where(trivial, change, _function(arithmetic, "power", v, change, exponent))


def xlogy(arithmetic: Arithmetic, v: Wide, x: Bounded, y: Bounded) -> F64:
    """x·log(y): |x|e_L + |L|e_x + e_x·e_L from L = log(y) and its error e_L, k ulp among it, and one rounding.

    Nothing where x is 0, and e_L = 0 where y is 1. So an implementation may round the logarithm before the product.
    """
    size = np.abs(np.log(y.v.hi))
    change = _log_change(y.v.hi, y.e)
    granted = ULPS["xlogy"] * arithmetic.dtype.ulp(size + change)
    granted = np.where((size == 0) & (y.e == 0), 0.0, granted)
    if x.v is y.v:
        propagated = _entropy_change(x.v.hi, x.e)
    else:
        propagated = x.size * change + np.where(x.e > 0, x.e * (size + change), 0.0)
    nothing = (x.v.hi == 0) & (x.e == 0)
    return arithmetic.round(v, np.where(nothing, 0.0, propagated + (x.size + x.e) * granted))


def _entropy_change(x: F64, e: F64) -> F64:
    """The largest change of t·log(t) over [x - e, x + e], for one number that is both operands and off alike.

    The slope is 1 + log(t), which is largest at one of the ends. Where x̂ may be 0 (flushed to zero, say) it has no
    bound; there the change is the largest of those to 0, to x + e and to the minimum -1/e at 1/e, if that lies between.
    """
    low, high = x - e, x + e
    slope = np.maximum(np.abs(1 + np.log(np.where(low > 0, low, 1.0))), np.abs(1 + np.log(high)))
    here, there = x * np.log(np.where(x > 0, x, 1.0)), high * np.log(np.where(high > 0, high, 1.0))
    dip = np.where(high > np.exp(-1), np.abs(here + np.exp(-1)), 0.0)
    to_zero = np.maximum(np.maximum(np.abs(here), np.abs(there - here)), dip)
    return np.where(e == 0, 0.0, np.where(low > 0, e * slope, to_zero))
