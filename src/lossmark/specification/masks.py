"""Masks: which entries of an input count in a case, and the case with harmless numbers for those that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64
from ..formula.tree import Input
from ..readings.layout import laid_out
from .case import Case


def counts(item: Input, arrays: Mapping[str, F64], inputs: Sequence[Input]) -> NDArray[np.bool_]:
    """Which entries of an input count, in its shape: those where each of its masks is not 0."""
    found = np.ones(arrays[item.name].shape, bool)
    for mask in inputs:
        if mask.name in item.masks:
            found &= laid_out(arrays[mask.name], mask.dims, item.dims) != 0
    return found


def without_masked(inputs: Sequence[Input], case: Case) -> Case:
    """The case with a number of its own for each input where an entry does not count, far from edges of operations.

    That changes neither the loss nor its gradient, and keeps NaN and what overflows out of the readings. The case
    itself where every entry counts.
    """
    changed = {}
    for place, item in enumerate(inputs):
        if item.masks:
            some = counts(item, case.inputs, inputs)
            if not some.all():
                changed[item.name] = np.where(some, case.inputs[item.name], 2.0 ** -(place + 1))
    return replace(case, inputs={**case.inputs, **changed}) if changed else case
