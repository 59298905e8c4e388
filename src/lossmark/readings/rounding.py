"""From balls to float64: a number is certified when both ends of its ball round alike."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TypeVar

from flint import arb

from ..errors import CertificationError
from .balls import Real, Undecided
from .precision import working_precision

T = TypeVar("T")

PRECISIONS = (128, 512, 2048, 8192)
"""Working precisions in bits, tried in turn."""


def settle(compute: Callable[[], T], what: str) -> T:
    """``compute()`` at the first working precision that decides it; raises :class:`CertificationError` if none does."""
    for precision in PRECISIONS:
        with working_precision(precision), contextlib.suppress(Undecided):
            return compute()
    raise CertificationError(f"{what}: not decided with {PRECISIONS[-1]} bits")


def round_to_double(x: Real) -> float:
    """The float64 nearest to ``x``, certified: both ends of the ball round to it. Else raises :class:`Undecided`.

    An exact ball that lies on a midpoint is rounded to even, as the exact number it is; a ball around a midpoint is
    never decided.
    """
    if isinstance(x, float):
        return x
    if not x.is_finite():
        raise Undecided
    low = _round_exact(x.lower() if not x.is_exact() else x)
    if not x.is_exact() and _round_exact(x.upper()) != low:
        raise Undecided
    return low + 0.0  # no negative zero


def _round_exact(x: arb) -> float:
    mantissa, exponent = (int(part) for part in x.man_exp())
    if mantissa == 0:
        return 0.0
    scale = mantissa.bit_length() + exponent
    if scale > 1100:
        return math.copysign(math.inf, 1 if mantissa > 0 else -1)
    if scale < -1200:
        return 0.0
    try:  # int/int and float(int) round half to even, subnormals included
        return float(mantissa << exponent) if exponent >= 0 else mantissa / (1 << -exponent)
    except OverflowError:
        return math.copysign(math.inf, 1 if mantissa > 0 else -1)


def two_doubles(x: Real) -> tuple[float, float]:
    """``x`` as an unevaluated sum of two float64: its midpoint to about 2⁻¹⁰⁶ relative."""
    if isinstance(x, float):
        return x, 0.0
    middle = x.mid()
    high = _round_exact(middle)
    return high, (_round_exact((middle - arb(high)).mid()) if math.isfinite(high) else 0.0)
