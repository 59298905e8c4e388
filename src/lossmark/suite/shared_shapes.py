"""Sharing compiled programs: small cases are brought to one shape by zero columns and repeated rows.

Compiling takes far longer than running, and a program is compiled anew for every shape. A zero column changes no
dot product, norm or distance, and rows may come again, so the packed case is a case of the same loss with exact values
of its own. Only lossmark's own implementations are packed, only where every shape is compiled anew, never in ``--full``
runs; odd, even and unit dimensions all stay in the set.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..adapters.mode import Mode
from ..dtypes import F64
from ..specification.case import Case
from ..specification.loss import Loss

SMALL = (7, 8)
"""The shape that every small case is brought to."""
MANY, WIDE = 64, 129
"""The shape that a narrower case of so many examples is brought to, and the dimensions that those of one less are."""


def packed_shape(batch: int, width: int, mode: Mode, loss: Loss) -> tuple[int, int]:
    """The shape under which a case of ``batch`` × ``width`` is run in a compiled mode.

    Where columns of zeros do not leave the loss as it is the width stays; the rows come again, up to the small shape,
    unless they are negatives of each other: then a batch of one alone does.
    """
    if not loss.widens:
        return (SMALL[0] if batch == 1 or (batch < SMALL[0] and not loss.coupled) else batch), width
    if batch <= SMALL[0] and width <= SMALL[1]:
        return SMALL
    if mode.ones_apart:
        return max(batch, 2), max(width, 2)
    return (batch, WIDE) if width == WIDE - 1 or (batch == MANY and width < WIDE) else (batch, width)


def pack(case: Case, mode: Mode, loss: Loss) -> Case:
    """The case in the shape that shares its program."""
    width = case.width
    batch, wide = packed_shape(case.batch, width, mode, loss)
    if (batch, wide) == (case.batch, width):
        return case

    def fit(array: F64) -> F64:
        whole = array.take(np.arange(batch) % case.batch, axis=0)
        return whole if array.ndim == 1 or wide == width else np.pad(whole, ((0, 0), (0, wide - width)))

    return replace(case, inputs=case.with_rows(fit), golden=None)
