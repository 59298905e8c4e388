"""Numbers as spec files write them: quoted C99 hex floats, exact; ``nan``, ``inf``, ``-inf``; labels as integers.

Canonical is the form of C's ``%a`` with the shortest mantissa, and one leading 1: ``0x1.8p+0``.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from ..dtypes import F64

_HEX = re.compile(r"-?0x[0-9a-fA-F](\.[0-9a-fA-F]{1,13})?p[+-]?\d{1,4}")
SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def parse(text: object) -> float:
    """The float64 that ``text`` writes; raises ValueError saying what was expected."""
    if isinstance(text, str):
        if text in SPECIAL:
            return SPECIAL[text]
        if _HEX.fullmatch(text):
            try:
                return float.fromhex(text)
            except OverflowError:
                raise ValueError(f"{text!r} is beyond the range of float64") from None
    raise ValueError(f'expected a quoted hex float such as "0x1.8p+0", "nan", "inf" or "-inf", got {text!r}'[:300])


def canonical(value: float) -> str:
    """The canonical text of a float64."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "-0x0p+0" if math.copysign(1, value) < 0 else "0x0p+0"
    fraction, power = math.frexp(abs(value))
    mantissa = (fraction * 2).hex().split("p")[0].rstrip("0").rstrip(".")
    return f"{'-' * (value < 0)}{mantissa}p{power - 1:+d}"


def texts(array: F64) -> Any:
    """The canonical texts of an array, in lists as deep as it has axes."""
    return [texts(row) for row in array] if array.ndim else canonical(float(array))


def numbers_of(written: Any) -> F64:
    """The array that lists of texts write, as float64; raises ValueError for what is no number, or no array."""
    return np.array(_parsed(written), np.float64)


def _parsed(written: Any) -> Any:
    return [_parsed(part) for part in written] if isinstance(written, list) else parse(written)
