"""The third step of a run: what conforms, computed once per case and dtype and shared by all implementations."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from ..checks.prepared import Prepared
from ..dtypes import DType
from ..specification.case import Case
from ..tolerance.acceptance import REDUCTIONS, Expected
from ..tolerance.expected import expected, expected_of_many
from .shared_shapes import pack

FAMILIES = 6
"""How many exact values of families, and of golden cases in larger batches, are kept at a time."""


class Truths:
    """What prepared runs expect. Safe for use by several threads."""

    def __init__(self) -> None:
        self._golden: dict[tuple[str, tuple[int, ...], DType, str], Expected] = {}
        self._families: OrderedDict[tuple[Any, ...], Expected] = OrderedDict()
        self._reading = threading.RLock()

    def __call__(self, prepared: Prepared, *, gradual: bool = False, scattered: bool = False) -> Expected:
        """What conforms in the run's dtype; all golden cases are read at once.

        ``gradual`` asks for gradual underflow, ``scattered`` for sums whose rounding errors are independent.
        """
        dtype = replace(prepared.counted, gradual=gradual, scattered=scattered)
        with self._reading:
            if isinstance(prepared.run.case, Case):
                return self._of_golden(prepared, dtype)
            return self._of_family(prepared, dtype)

    def _of_golden(self, prepared: Prepared, dtype: DType) -> Expected:
        run, case = prepared.run, prepared.case
        changes = "" if run.deviation is None else run.deviation.changes
        if (case.id, case.shape, dtype, changes) not in self._golden:
            alone = dtype.gradual or dtype.scattered or case.id != run.case.id
            many = [prepared] if alone else [prepared, *_siblings(prepared)]
            weights = [other.weights for other in many]
            found = expected_of_many(prepared.held_to, [other.meant for other in many], dtype, weights, scale=run.scale)
            for other, truth in zip(many, found, strict=True):
                self._golden[other.case.id, other.case.shape, dtype, changes] = truth
        return self._golden[case.id, case.shape, dtype, changes]

    def _of_family(self, prepared: Prepared, dtype: DType) -> Expected:
        run, case = prepared.run, prepared.case
        wanted = ("none", "mean") if run.large and prepared.own and not run.full else REDUCTIONS
        key = (case.id, case.shape, dtype, wanted, run.deviation and run.deviation.changes)
        if key not in self._families:
            self._families[key] = expected(prepared.held_to, prepared.meant, dtype, prepared.weights, wanted, run.scale)
            while len(self._families) > FAMILIES:
                self._families.popitem(last=False)
        self._families.move_to_end(key)
        return self._families[key]


def _siblings(prepared: Prepared) -> list[Prepared]:
    """The other golden cases in the run's dtype, packed as its case is."""
    run, case = prepared.run, prepared.case
    assert isinstance(run.case, Case)
    packs, mode = case.shape != run.case.shape, run.target.mode(run.mode)
    others = [other for other in run.loss.golden(run.dtype) if other.id != case.id]
    return [prepared.on(pack(other, mode, run.loss) if packs else other) for other in others]
