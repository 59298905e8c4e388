"""The first step of a run: its case is drawn in its dtype and brought to the shape in which it is run."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ..adapters.mode import Compiling
from ..checks.prepared import Prepared
from ..checks.run import Run
from ..dtypes import DTYPES
from ..specification.case import Case, Embedded, Family
from ..specification.in_the_large import embed
from ..specification.inputs import draw
from .shared_shapes import pack

KEPT = 64
"""How many cases are kept: runs of one case follow each other."""


class Preparation:
    """Makes runs ready. Cases are drawn once for all implementations; safe for use by several threads."""

    def __init__(self) -> None:
        self._drawn: OrderedDict[tuple[str, str, str], Case] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, run: Run) -> Prepared:
        """The run with its case: a family drawn in the dtype, a small case packed where programs are shared."""
        shared = run.mode if _shares_programs(run) else ""
        key = (run.case.id, run.dtype, shared)
        with self._lock:
            if key not in self._drawn:
                case = _made(run)
                self._drawn[key] = _packed(case, run) if shared and case.error is None else case
                while len(self._drawn) > KEPT:
                    self._drawn.popitem(last=False)
            return Prepared(run, self._drawn[key], DTYPES[run.dtype])


def _made(run: Run) -> Case:
    """The run's case in its dtype."""
    if isinstance(run.case, Case):
        return run.case
    dtype = DTYPES[run.dtype]
    return embed(run.case, dtype) if isinstance(run.case, Embedded) else draw(run.loss, run.case, dtype)


def _packed(case: Case, run: Run) -> Case:
    return pack(case, run.target.mode(run.mode), run.loss)


def _shares_programs(run: Run) -> bool:
    """Whether small cases are brought to one shape: lossmark's own, where every shape is compiled anew.

    Not under ``--full``; and where compiling is short not families in float32, so every shape is compiled somewhere.
    """
    if run.full or not run.target.reference.own or isinstance(run.case, Embedded):
        return False
    mode = run.target.mode(run.mode)
    every_shape = mode.compiling == Compiling.SHORT and run.dtype == "float32" and isinstance(run.case, Family)
    return mode.compiles and not every_shape
