"""What conforms after a declared change: a factor on the loss, two gradients that add up, two inputs in one tensor."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..dtypes import DType
from ..formula.tree import Node
from ..readings.arithmetic import Arithmetic
from ..readings.bound import WIDENING
from ..readings.bound_sums import fork
from ..readings.double_double import Wide, add, mul
from ..readings.overflow import Bounded, finish, overflow
from .acceptance import Acceptance, Expected, Kink


def rounded_factor(scale: float, dtype: DType) -> float:
    """The relative error of a product with ``scale``: of the factor and of the product, none for powers of two."""
    mantissa, _ = math.frexp(scale)
    return 0.0 if abs(mantissa) == 0.5 else 2 * dtype.u


def scaled(x: Acceptance, scale: float, dtype: DType) -> Acceptance:
    """What ``scale`` times a number accepts, from what the number accepts."""
    if scale == 1:
        return x
    low = None if x.exact_low is None else np.zeros_like(x.exact)
    with np.errstate(over="ignore", invalid="ignore"):
        v = mul(Wide(x.exact, x.exact_low), Wide(np.full_like(x.exact, scale), low))
        e = x.bound * abs(scale) + rounded_factor(scale, dtype) * np.abs(v.hi)
        e = np.where(np.isfinite(v.hi), e + Arithmetic(dtype).eta(v, e), 0.0)
        also = overflow(dtype, v, e) | (x.also if scale > 0 else x.also.negated())
    limit, textbook, form = (
        None if beside is None else scaled(beside, scale, dtype) for beside in (x.limit, x.textbook, x.form)
    )
    terms = None if x.terms is None else x.terms.scaled(scale, rounded_factor(scale, dtype))
    changed = replace(x, exact=v.hi, exact_low=v.lo, bound=e, also=also, limit=limit, textbook=textbook, form=form)
    return replace(changed, terms=terms)


def added(x: Acceptance, y: Acceptance, dtype: DType) -> Acceptance:
    """What the sum of two numbers accepts that a reverse pass adds up: NaN too where opposite infinities may meet.

    A limit, the textbook, its form and unspecified elements are not foreseen and are dropped.
    """
    parts = [Bounded(Wide(part.exact, part.exact_low), part.bound, part.also) for part in (x, y)]
    v = add(parts[0].v, parts[1].v)
    with np.errstate(over="ignore", invalid="ignore"):
        found = finish(dtype, Node("fork"), (), v, fork(Arithmetic(dtype), v, *parts), parts)
    return Acceptance(exact=v.hi, exact_low=v.lo, bound=found.e * WIDENING, also=found.also)


def spoilt(truth: Expected, uncounted: NDArray[np.bool_], shared: frozenset[str]) -> Expected:
    """What conforms where ``uncounted`` examples ``[B]`` hold NaN or infinities: NaN in their gradients, with a grade.

    Whatever they share with the others may be NaN as a whole.
    """

    def marked(name: str, slope: Acceptance) -> Acceptance:
        rows = np.ones(slope.shape, bool)
        if name not in shared:
            rows &= uncounted.reshape(-1, *[1] * (rows.ndim - 1))
        return replace(slope, spoilt=rows)

    gradients = {
        reduction: {name: marked(name, slope) for name, slope in slopes.items()}
        for reduction, slopes in truth.gradients.items()
    }
    return replace(truth, gradients=gradients)


def aliased(truth: Expected, kept: str, dropped: str, dtype: DType) -> Expected:
    """What conforms where the inputs ``kept`` and ``dropped`` are one tensor: its gradient is the sum of theirs.

    That holds on either side of a kink; the gradient by ``dropped`` is asked for no more.
    """
    gradients, kinks = {}, {}
    for reduction, parts in truth.gradients.items():
        kink = truth.kinks[reduction]
        both = added(parts[kept], parts[dropped], dtype)
        if kink is not None:
            other = added(_other_side(parts[kept], kink, kept), _other_side(parts[dropped], kink, dropped), dtype)
            both = replace(both, bound=np.maximum(both.bound, other.bound))
            zero, one = ({**side, kept: side[kept] + side[dropped]} for side in (kink.at_zero, kink.at_one))
            kink = replace(kink, at_zero=zero, at_one=one)
        kinks[reduction] = kink
        gradients[reduction] = {name: part for name, part in parts.items() if name != dropped} | {kept: both}
    return replace(truth, gradients=gradients, kinks=kinks)


def _other_side(x: Acceptance, kink: Kink, name: str) -> Acceptance:
    """The gradient by one input with every place of its kinked rows on the other side."""
    exact, low = x.exact.copy(), None if x.exact_low is None else x.exact_low.copy()
    exact[kink.rows] = kink.at_one[name][0] + sum(end - kink.at_zero[name] for end in kink.at_one[name][1:])
    if low is not None:
        low[kink.rows] = 0.0
    return replace(x, exact=exact, exact_low=low)
