"""Non-finite numbers that conform beside a bound: for each element a set of +∞, -∞ and NaN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64

Mask = NDArray[np.bool_]

_PLUS, _MINUS, _NAN = np.uint8(1), np.uint8(2), np.uint8(4)
_NEGATED = np.array([0, 2, 1, 3, 4, 6, 5, 7], np.uint8)
"""The set of -x by the set of x: the two infinities change places."""


def _bits_of(x: F64) -> NDArray[np.uint8]:
    return np.asarray((x == np.inf) * _PLUS | (x == -np.inf) * _MINUS | np.isnan(x) * _NAN)


@dataclass(frozen=True, eq=False)
class NonFinite:
    """What a computed value may be besides a number within its bound; false where nothing is recorded.

    ``bits`` has the shape of the numbers and holds a set in each element. It is None, the usual case, where no element
    has any outcome, so that ordinary numbers cost nothing.
    """

    bits: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, plus_inf: Mask, minus_inf: Mask, nan: Mask | None = None) -> NonFinite:
        """The outcomes from a mask of each."""
        bits = plus_inf * _PLUS | minus_inf * _MINUS
        return cls(bits if nan is None else bits | nan * _NAN)

    @classmethod
    def in_numbers(cls, x: F64) -> NonFinite:
        """The non-finite numbers in ``x`` as outcomes."""
        return cls(_bits_of(x))

    def __bool__(self) -> bool:
        return self.bits is not None

    def __or__(self, other: NonFinite) -> NonFinite:
        """The outcomes of either, elementwise."""
        if self.bits is None:
            return other
        return self if other.bits is None else NonFinite(self.bits | other.bits)

    def map(self, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> NonFinite:
        """The same outcomes in another shape, or those of some rows: ``change`` is applied to the array of sets."""
        return self if self.bits is None else NonFinite(change(self.bits))

    def negated(self) -> NonFinite:
        """The outcomes of -x."""
        return self.map(lambda bits: _NEGATED[bits])

    def of_a_sum(self) -> NonFinite:
        """The outcomes of the sum over the batch ``[1, 1]``, from those of its terms ``[B, 1]``: +∞ - ∞ is NaN."""
        if self.bits is None:
            return self
        union = np.bitwise_or.reduce(self.bits, axis=0, keepdims=True)
        infinities = _PLUS | _MINUS
        return NonFinite(np.asarray(union | ((union & infinities) == infinities) * _NAN))

    def anything_in_place(self) -> NonFinite:
        """All three outcomes in every element that has one; none where no element has one."""
        if self.bits is None or not self.bits.any():
            return ALL_FINITE
        return NonFinite((self.bits > 0) * (_PLUS | _MINUS | _NAN))

    def or_nan(self) -> NonFinite:
        """NaN beside each +∞."""
        return self.map(lambda bits: bits | ((bits & _PLUS) > 0) * _NAN)

    def by_example(self, axes: int) -> Mask:
        """Whether any element of each example has an outcome ``[B, 1, ...]``, with so many axes."""
        bits = np.zeros(1, np.uint8) if self.bits is None else self.bits
        return np.asarray(bits.reshape(len(bits), -1).any(axis=1).reshape(-1, *[1] * (axes - 1)))

    def may_be_nan(self) -> Mask | None:
        """Where NaN is among the outcomes; None where nothing is recorded."""
        return None if self.bits is None else np.asarray(self.bits & _NAN > 0)

    def allow(self, x: F64) -> Mask:
        """Where ``x`` is one of the outcomes recorded for its element."""
        if self.bits is None:
            return np.zeros(x.shape, bool)
        return np.asarray(self.bits & _bits_of(x) > 0)

    def alternatives(self, x: F64) -> list[F64]:
        """``x``, and for each outcome that some element has, ``x`` with that outcome in these elements."""
        found = [x]
        if self.bits is not None:
            for bit, value in ((_PLUS, np.inf), (_MINUS, -np.inf), (_NAN, np.nan)):
                if (self.bits & bit).any():
                    found.append(np.where(self.bits & bit, value, x))
        return found


ALL_FINITE = NonFinite()
"""Nothing but numbers within the bound."""
