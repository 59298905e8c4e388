"""The floating-point formats under test and the constants that the tolerance is made of.

Source: IEEE 754-2019 §3.6 (binary16/32/64); bfloat16 as in ml_dtypes. ``u`` is the unit roundoff of the storage
format, ``a`` that of the accumulator: 16-bit formats must accumulate sums in at least float32.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class DType:
    """A floating-point format: ``p`` significant bits, exponents of normal numbers in [``emin``, ``emax``]."""

    name: str
    numpy: np.dtype[np.generic]
    p: int
    emin: int
    emax: int
    accumulator_p: int
    gradual: bool = False
    """Whether underflow must be gradual; else results below the smallest normal number may be flushed to zero."""
    scattered: bool = False
    """Whether the errors of additions are taken to be independent; else all of a sum may be off in one direction."""
    batch_p: int = 0
    """The accumulator of sums over the batch, where it is another; 0 where it is not."""

    @property
    def u(self) -> float:
        """Unit roundoff 2⁻ᵖ: half the distance from 1 to the next number."""
        return 2.0**-self.p

    @property
    def a(self) -> float:
        """Unit roundoff of the accumulator."""
        return 2.0**-self.accumulator_p

    def additions(self, count: NDArray[Any]) -> F64:
        """How many times ``a`` a sum of ``count`` terms in any order is off, relative to the sum of magnitudes.

        n - 1 (Higham, section 4.2), or √(n - 1) where errors are independent and of mean 0 (Higham & Mary, A new
        approach to probabilistic rounding error analysis, SIAM J. Sci. Comput. 41, 2019, with λ = 1).
        """
        most = np.maximum(count - 1, 0.0)
        return np.asarray(np.sqrt(most) if self.scattered else most)

    @property
    def smallest_normal(self) -> float:
        """The smallest positive normal number."""
        return 2.0**self.emin

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return float((2 - 2.0 ** (1 - self.p)) * 2.0**self.emax)

    def ulp(self, x: F64) -> F64:
        """Unit in the last place at ``|x|`` (float64 array), the smallest normal's below it."""
        magnitude = np.maximum(np.abs(np.where(np.isfinite(x), x, 1.0)), self.smallest_normal)
        _, exponent = np.frexp(magnitude)
        return np.asarray(np.ldexp(1.0, np.minimum(exponent - 1, self.emax) - self.p + 1))

    def round(self, x: F64) -> F64:
        """The nearest numbers of this format, in the type of ``x`` (beyond the largest: infinities)."""
        if self.numpy == x.dtype:
            return x
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return x.astype(self.numpy).astype(x.dtype)

    def holds(self, x: F64) -> NDArray[np.bool_]:
        """Where ``x`` is a number of this format."""
        return np.asarray(self.round(x) == x)


FLOAT64 = DType("float64", np.dtype(np.float64), 53, -1022, 1023, 53)
FLOAT32 = DType("float32", np.dtype(np.float32), 24, -126, 127, 24)
BFLOAT16 = DType("bfloat16", np.dtype(ml_dtypes.bfloat16), 8, -126, 127, 24)
FLOAT16 = DType("float16", np.dtype(np.float16), 11, -14, 15, 24)


DTYPES = {dtype.name: dtype for dtype in (FLOAT64, FLOAT32, BFLOAT16, FLOAT16)}
"""The formats by name, widest first."""


@functools.cache
def accumulator_of(dtype: DType) -> DType:
    """The format that sums of a format are accumulated in, at least; its own sums are in itself."""
    found = next(other for other in DTYPES.values() if other.p == dtype.accumulator_p)
    return found if found.accumulator_p == found.p else replace(found, accumulator_p=found.p)


def accumulating(dtype: DType, name: str) -> DType:
    """The format with sums in the format ``name``, where that is coarser than its accumulator; else itself."""
    return replace(dtype, accumulator_p=min(dtype.accumulator_p, DTYPES[name].p))


def inside(dtype: DType) -> DType:
    """The format with the sums of an example in itself; those over the batch stay in its accumulator."""
    return replace(accumulating(dtype, dtype.name), batch_p=dtype.accumulator_p)


def over_batch(dtype: DType) -> DType:
    """The format by which sums over the batch are counted."""
    return replace(dtype, accumulator_p=dtype.batch_p, batch_p=0) if dtype.batch_p else dtype
