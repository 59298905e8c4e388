"""Transcendental functions of wide numbers: by NumPy in float64, by Arb in double-double."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from flint import arb, ctx

from ..dtypes import F64
from .balls import BALL_FUNCTIONS, lift
from .double_double import Wide
from .rounding import two_doubles

WORKING_PRECISION = 160
"""Bits that Arb works with: 54 more than a double-double holds."""


def stable_softplus(x: F64) -> F64:
    """log(1 + exp(x)) in float64, without overflow."""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def stable_sigmoid(x: F64) -> F64:
    """1 / (1 + exp(-x)) in float64, without overflow."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1 + small))


def _through_arb(name: str) -> Callable[[Wide], Wide]:
    """A function of double-doubles: one Arb call per number (they occur once per example)."""
    rule = BALL_FUNCTIONS[name]

    def one(hi: float, lo: float) -> tuple[float, float]:
        x = lift(hi)
        return two_doubles(rule(x if isinstance(x, float) else x + arb(lo)))

    def function(x: Wide) -> Wide:
        assert x.lo is not None
        before, ctx.prec = ctx.prec, WORKING_PRECISION
        try:
            hi, lo = x.hi.astype(np.float64).ravel().tolist(), x.lo.astype(np.float64).ravel().tolist()
            pairs = [one(*pair) for pair in zip(hi, lo, strict=True)]
        finally:
            ctx.prec = before
        both = np.array(pairs, dtype=np.float64).reshape(*x.hi.shape, 2)
        return Wide(both[..., 0], both[..., 1])

    return function


def _function(name: str, plain: Callable[[F64], F64]) -> Callable[[Wide], Wide]:
    fine = _through_arb(name)

    def function(x: Wide) -> Wide:
        return Wide(plain(x.hi)) if x.lo is None else fine(x)

    return function


WIDE_FUNCTIONS: Mapping[str, Callable[[Wide], Wide]] = {
    "exp": _function("exp", np.exp), "expm1": _function("expm1", np.expm1),
    "log": _function("log", np.log), "log1p": _function("log1p", np.log1p),
    "softplus": _function("softplus", stable_softplus), "sigmoid": _function("sigmoid", stable_sigmoid),
}  # fmt: skip
"""The transcendental operations of a formula."""
