"""A few tables made of conformance runs on a device, also of those that were stopped before their end."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from lossmark.dtypes import DTYPES
from lossmark.errors import LossmarkError
from lossmark.results.cell import VERDICTS, Cell
from lossmark.results.record import Results
from lossmark.results.record import read as read_cells

from . import data
from .outputs import Condensed, shares, short

WRONG_KEPT = 250
"""Cells that do not pass of which a file tells more than their number."""
DETAIL = 200
"""Characters of a detail that are kept."""


def device(files: Sequence[Path]) -> Condensed:
    """Results files of one machine: counts, what does not pass, why cells were not judged, shares of the bound.

    Raises :class:`LossmarkError` where there is no file, or nothing was judged.
    """
    runs = [read_cells(file) for file in files]
    cells = [cell for run in runs for cell in run.cells]
    if not cells:
        raise LossmarkError("nothing was judged")
    wrong = [cell for cell in cells if cell.verdict in ("fail", "error", "deviates")]
    wrong.sort(key=lambda cell: ("error", "fail", "deviates").index(cell.verdict))
    return runs[0].header["environment"], data.Device(
        judged=data.Table(columns=list(data.JUDGED), rows=list(_judged(runs))),
        wrong=data.Table(columns=list(data.WRONG), rows=[_wrong(cell) for cell in wrong[:WRONG_KEPT]]),
        reasons=data.Table(columns=["impl", "verdict", "why", "cells"], rows=_reasons(cells)),
        shares=data.Table(columns=list(data.ON_A_DEVICE), rows=list(_by_mode(cells))),
    )


def _judged(runs: Sequence[Results]) -> Iterator[list[data.Value]]:
    """A row per run: its implementations, its planned cells, and how many have each verdict."""
    for run in runs:
        impls = ", ".join(dict.fromkeys(cell.impl for cell in run.cells)) or Path(run.source).stem
        yield [impls, run.header["planned"], *(run.counts[verdict] for verdict in VERDICTS)]


def _wrong(cell: Cell) -> list[data.Value]:
    place = [cell.impl, cell.loss, cell.dtype, cell.mode, cell.case, cell.check, cell.verdict]
    return [*place, short(cell.error_ulp), short(cell.budget_used), cell.detail[:DETAIL]]


def _reasons(cells: Sequence[Cell]) -> list[list[data.Value]]:
    """Why cells were not judged, and after what others were tried twice."""
    why = Counter(
        (cell.impl, cell.verdict, cell.detail[:DETAIL]) for cell in cells if cell.verdict in ("not-run", "unsupported")
    )
    why.update((cell.impl, "tried twice", cell.retried[:DETAIL]) for cell in cells if cell.retried)
    return [[*each, count] for each, count in why.items()]


def _by_mode(cells: Sequence[Cell]) -> Iterator[list[data.Value]]:
    groups: dict[tuple[str, str, str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.loss, cell.impl, cell.dtype, cell.mode), []).append(cell)
    for place in sorted(groups, key=lambda place: (*place[:2], list(DTYPES).index(place[2]), place[3])):
        yield [*place, len(groups[place]), *shares(groups[place])]
