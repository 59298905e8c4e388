"""Structured rows: a long axis that repeats few entries, so that a golden case of 128,256 classes holds three numbers.

What is certified is the case of the few, in which a sum counts each entry as often as it occurs: log Σ cₖ·exp(xₖ). What
an implementation is called with is the whole, in an order that the seed gives.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..formula.tree import BATCH, Input
from .case import Case
from .document import Document, Path_
from .model import LONGEST_AXIS, RowsModel


def check_rows(document: Document, path: Path_, case: Case, rows: RowsModel, inputs: tuple[Input, ...]) -> None:
    """Every entry of the axis has a count, and a label picks one that occurs once; raises :class:`SpecError`."""
    known = [axis for axis in case.sizes if axis != BATCH]
    if rows.axis not in known:
        raise document.error((*path, "axis"), f"found {rows.axis!r}, expected one of {', '.join(known)}")
    if len(rows.counts) != case.sizes[rows.axis]:
        message = f"found {len(rows.counts)} counts, expected one of each of {case.sizes[rows.axis]} entries"
        raise document.error((*path, "counts"), message)
    if sum(rows.counts) > LONGEST_AXIS:
        message = f"found {sum(rows.counts)} entries, expected {LONGEST_AXIS} at most"
        raise document.error((*path, "counts"), message)
    for item in inputs:
        if item.label == "index" and item.index == rows.axis:
            label = case.inputs[item.name]
            picked = label[(label >= 0) & (label < len(rows.counts))].astype(int)
            if any(rows.counts[entry] != 1 for entry in picked):
                raise document.error((*path, "counts"), f"an entry that {item.name} picks occurs more than once")


def expanded(few: Case, rows: RowsModel, inputs: tuple[Input, ...]) -> Case:
    """The whole case of the ``few`` entries of an axis, whose indices are those of the whole."""
    order = np.repeat(np.arange(len(rows.counts)), rows.counts)
    order = np.random.Generator(np.random.PCG64([rows.seed, len(order)])).permutation(order)
    first = np.argmax(order == np.arange(len(rows.counts))[:, None], axis=1).astype(np.float64)
    whole = {}
    for item in inputs:
        array = few.inputs[item.name]
        if rows.axis in item.dims:
            array = array.take(order, axis=item.dims.index(rows.axis))
        if item.label == "index" and item.index == rows.axis:
            entry = (array >= 0) & (array < len(first))
            array = np.where(entry, first[np.where(entry, array, 0).astype(int)], array)
        whole[item.name] = array
    return replace(few, inputs=whole, counts={}, few=few)
