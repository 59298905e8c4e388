"""Bounded numbers in other shapes: those of each example in a row."""

from __future__ import annotations

import numpy as np

from ..readings.double_double import Wide
from ..readings.overflow import Bounded


def reshaped(x: Bounded, shape: tuple[int, ...]) -> Bounded:
    """The same numbers in another shape."""
    e, low = np.broadcast_to(x.e, x.v.hi.shape), None if x.v.lo is None else x.v.lo.reshape(shape)
    also = x.also.map(lambda bits: np.broadcast_to(bits, x.v.hi.shape).reshape(shape))
    return Bounded(Wide(x.v.hi.reshape(shape), low), e.reshape(shape), also)


def by_row(x: Bounded) -> Bounded:
    """The numbers of each example in a row, ``[B, …]``; in one row where all examples share them."""
    rows = len(x.v.hi)
    return reshaped(x, (rows, x.v.hi.size // rows))
