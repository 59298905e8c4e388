"""Bounded numbers, and what happens to them beyond the largest finite number.

Where an intermediate may overflow, the outcomes that IEEE arithmetic may reach instead are carried as ``flags``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType
from .wide import RULES as WIDE
from .wide import Wide

PLUS_INF, MINUS_INF, NAN = 1, 2, 4
"""Bits of ``flags``: what a computed value may be besides a number within the bound."""

Flags = NDArray[np.uint8]


@dataclass(frozen=True)
class Bounded:
    """Numbers with the error that computed ones may have, and the non-finite outcomes that conform too."""

    v: Wide
    e: F64
    flags: Flags | None = None

    @property
    def size(self) -> F64:
        """|v|, the magnitude as float64."""
        return np.abs(self.v.hi)


def finish(dtype: DType, op: str, v: Wide, e: F64, args: Sequence[Bounded]) -> Bounded:
    """The result with its outcomes beyond the largest finite number, its own and those of its operands."""
    largest = dtype.largest
    plain = op not in ("dot", "sqnorm") and all(arg.flags is None for arg in args)
    if plain and np.max(np.abs(v.hi), initial=0.0) + np.max(e, initial=0.0) <= largest:
        return Bounded(v, e)
    e = np.where(np.isfinite(v.hi), np.where(np.isnan(e), np.inf, e), 0.0)
    over, under = v.hi + e > largest, v.hi - e < -largest
    flags: Flags | None = None
    if over.any() or under.any():
        flags = (over & np.isfinite(e)) * np.uint8(PLUS_INF) | (under & np.isfinite(e)) * np.uint8(MINUS_INF)
    if op in ("dot", "sqnorm"):
        flags = merge(flags, _products(dtype, args[0], args[-1]))
    if any(arg.flags is not None for arg in args):
        e, more = _alternatives(WIDE[op], v, e, args)
        flags = merge(flags, more)
    return Bounded(v, e, flags)


def _products(dtype: DType, x: Bounded, y: Bounded) -> Flags | None:
    """A product, or a partial sum of products in some order, that overflows on the way to a finite dot."""
    products = x.v.hi * y.v.hi
    largest = dtype.largest
    top, bottom = np.maximum(products, 0), np.minimum(products, 0)
    accumulator = max(largest, 2.0**127)
    up = (top > largest).any(axis=1, keepdims=True) | (top.sum(axis=1, keepdims=True) > accumulator)
    down = (bottom < -largest).any(axis=1, keepdims=True) | (bottom.sum(axis=1, keepdims=True) < -accumulator)
    if not (up.any() or down.any()):
        return None
    return np.asarray(up * np.uint8(PLUS_INF) | down * np.uint8(MINUS_INF) | (up & down) * np.uint8(NAN))


def merge(x: Flags | None, y: Flags | None) -> Flags | None:
    """The outcomes of either."""
    return x if y is None else y if x is None else x | y


def _alternatives(rule: Callable[..., Wide], v: Wide, e: F64, args: Sequence[Bounded]) -> tuple[F64, Flags]:
    """What the operation makes of operands that overflowed: finite outcomes widen e, others become flags."""
    candidates = []
    for arg in args:
        options = [arg.v.hi]
        if arg.flags is not None:
            for bit, value in ((PLUS_INF, np.inf), (MINUS_INF, -np.inf), (NAN, np.nan)):
                if (arg.flags & bit).any():
                    options.append(np.where(arg.flags & bit, value, arg.v.hi))
        candidates.append(options)
    e, flags = e.copy() * np.ones_like(v.hi), np.zeros(v.hi.shape, np.uint8)
    for choice in itertools.product(*candidates):
        outcome = rule(*map(Wide, choice)).hi
        flags |= (outcome == np.inf) * np.uint8(PLUS_INF) | (outcome == -np.inf) * np.uint8(MINUS_INF)
        flags |= np.isnan(outcome) * np.uint8(NAN)
        both = np.isfinite(outcome) & np.isfinite(v.hi)
        e = np.where(both, np.maximum(e, np.abs(np.where(both, outcome - v.hi, 0.0))), e)
    return e, flags
