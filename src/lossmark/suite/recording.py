"""The record of one run: its cells as they arrive, those that never did, known failures, and the summary."""

from __future__ import annotations

import functools
import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..adapters.installed import framework_version, frameworks, numeric_setups
from ..adapters.registry import implementations
from ..checks.run import Run, cell
from ..dtypes import DTYPES
from ..results.cell import VERDICTS
from ..results.environment import environment
from ..results.record import Recorder
from ..rooms import room
from ..specification.library import losses, specs_digest
from . import known_failures
from .failure_table import TableKey
from .part import Division, cells_of
from .plan import Choice

NEVER_JUDGED = "deselected, or the session ended before it"
REASONS = 12
"""How many reasons the summary gives for cells that were not judged, and for those that were tried twice."""


class Recording:
    """The cells of a planned run, or of its part.

    ``results`` is the file that they are written to (none: nowhere), ``expected`` that of the known failures (none:
    the conformance room's own). Raises :class:`lossmark.errors.SpecError` for a file of known failures that is
    malformed.
    """

    def __init__(self, division: Division, choice: Choice, *, results: str, expected: str):
        self.runs, self._part = division.runs, division.part
        self.complaints: list[str] = []
        path = Path(expected) if expected else room("conformance") / "expected.yaml"
        self.entries = [*known_failures.read(path), *known_failures.declared(division.whole)]
        self._scope = functools.partial(_scope, division.whole, choice, named=bool(expected))
        self._explained = known_failures.Explained(self.entries)
        self._arrived: set[str] = set()
        self._unjudged: Counter[tuple[str, str]] = Counter()
        self._retried: Counter[tuple[str, str]] = Counter()
        self._judged: dict[str, bool] = {}
        self.wrong: Counter[TableKey] = Counter()
        self._stream = open(results or os.devnull, "w", encoding="utf-8", buffering=1)  # noqa: SIM115 (see finish)
        self._recorder = Recorder(self._stream)
        self._started = time.perf_counter()
        versions = {name: framework_version(name) for name in frameworks()}
        made_in = environment(versions, numeric_setups())
        made_in["implementations"] = {run.target.name: run.target.reference.source for run in self.runs}
        self._recorder.header(self.planned, made_in, self._facts(division))

    def _facts(self, division: Division) -> dict[str, Any]:
        """What runs must have in common to be joined, beside versions."""
        return {
            "specs": specs_digest(),
            "known_failures": known_failures.entries_digest(self.entries),
        } | division.facts()

    @property
    def planned(self) -> int:
        """The number of cells that the plan has."""
        return cells_of(self.runs)

    @property
    def of_whole(self) -> str:
        """Which part of the plan this is, in words; empty where it is all of it."""
        return "" if self._part is None else f", part {self._part} of the plan"

    def add(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write cells down as they arrive, all those of a run at a time; only counts of them are kept."""
        self._recorder.cells(records)
        self._explained.see(records)
        for record in records:
            self._arrived.add(_run(record))
            if record["verdict"] in ("not-run", "unsupported"):
                self._unjudged[record["impl"], record["detail"]] += 1
                self._judged.setdefault(record["impl"], False)
            else:
                self._judged[record["impl"]] = True
            if record["verdict"] in ("fail", "error"):
                self.wrong[TableKey(**{name: record[name] for name in TableKey._fields})] += 1
            if record.get("retried"):
                self._retried[record["impl"], record["retried"]] += 1

    def finish(self) -> None:
        """Write down what never arrived, and the footer; :attr:`complaints` are then known."""
        for run in self.runs:
            cells = [cell(run, check, "not-run", NEVER_JUDGED).record() for check in run.checks]
            if _run(cells[0]) not in self._arrived:
                self.add(cells)
        sights = self._explained.sights(self._scope)
        if self._part is None:
            self.complaints = [sight.complaint for sight in sights if sight.complaint]
            self._recorder.footer()
        else:  # the cells that an entry is about may be in other parts: the merge complains
            self.complaints = [sight.expiry for sight in sights if sight.expiry]
            self._recorder.footer({"known_failures": [sight.record() for sight in sights if sight.concerns]})
        self._stream.close()

    def summary(self) -> Iterator[str]:
        """Why cells were not judged or tried twice, of what none was, the counts of verdicts, and how long it took."""
        seconds = time.perf_counter() - self._started
        counts = self._recorder.counts
        total = sum(counts.values())
        for (impl, reason), count in self._unjudged.most_common(REASONS):
            yield f"{count:6} cells of {impl} not judged: {reason}"
        for (impl, reason), count in self._retried.most_common(REASONS):
            yield f"{count:6} cells of {impl} tried twice, the second time alone, after: {reason}"
        for impl in [impl for impl, judged in self._judged.items() if not judged]:
            yield f"no cell of {impl} was judged: this run says nothing of it"
        yield ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
        rate = total / max(seconds, 1e-9)
        yield f"{total} of {self.planned} planned cells in {seconds:.0f} s, {rate:.0f} cells per second"


def _scope(runs: Sequence[Run], choice: Choice, *, named: bool) -> known_failures.Scope:
    """What the options leave in; a file of known failures ``named`` for this run is about its implementations."""
    specs = losses()
    cases = [
        case.id for loss in specs.values() for group in (loss.cases, loss.families, loss.embedded) for case in group
    ]
    modes = [mode.name for adapter in frameworks().values() for mode in adapter.modes]
    scope: dict[str, tuple[Collection[str], Collection[str]]] = {
        "loss": (choice.losses or specs, specs),
        "dtype": (choice.dtypes or DTYPES, DTYPES),
        "mode": (choice.modes or modes, modes),
        "case": ({run.case.id for run in runs} if choice.case else cases, cases),
    }
    if not named:
        scope["impl"] = ({run.target.name for run in runs}, implementations())
    return scope


def _run(record: Mapping[str, Any]) -> str:
    """Names the run that a cell is of."""
    return "\0".join(str(record[name]) for name in ("impl", "device", "dtype", "mode", "case"))
