"""Runs a plan: each run is prepared, answered by a worker, held against what conforms, and becomes cells.

    run ─ prepare ─► case in its dtype and shape ─ answers ─► results ─ truths ─► what conforms ─ checks ─► cells

Workers run ahead of the judge; checks that ask a worker again and again are made ahead too, in threads, so that one
framework is asked while another computes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from ..checks.catalogue import CONSISTENCY, ORDINARY, REFUSAL
from ..checks.consistency import Consistency
from ..checks.dialogue import Dialogue, Unjudged, graded
from ..checks.ordinary import Judged
from ..checks.prepared import Prepared, Unsupported
from ..checks.run import Run, cell, failed
from ..checks.usage import Usage
from ..results.cell import Cell
from ..work import Answer, Failure
from .answers import Answers, NoAnswer
from .prepare import Preparation
from .truths import Truths

DIALOGUES = 4
"""How many checks that ask a worker more than once are made at a time, of lossmark's own implementations: what a guest
crashes in must not depend on the order."""


class Suite:
    """Judges runs. ``ahead`` lists the runs that will be asked for, in order, so that workers can start on them.

    ``shared`` gives one process to all implementations of a file.
    """

    def __init__(self, ahead: Iterable[Run] = (), *, shared: bool = False):
        self._prepare, self._truths = Preparation(), Truths()
        self._answers = Answers(shared=shared)
        self._dialogues = ThreadPoolExecutor(DIALOGUES, "dialogue")
        self._extras: dict[int, Future[list[Cell]]] = {}
        runs = [run for run in ahead if not run.reason]
        self._answers.ahead([run for run in runs if REFUSAL.name not in run.checks], self._prepare)
        for run in runs:
            if run.target.reference.own and set(run.checks) - set(ORDINARY):
                self._extras[id(run)] = self._dialogues.submit(self._extra_cells, run)

    def close(self) -> None:
        """End every worker."""
        self._dialogues.shutdown(wait=False, cancel_futures=True)
        self._answers.close()

    def prepared(self, run: Run) -> Prepared:
        """The run with its case as it is run."""
        return self._prepare(run)

    def cells(self, run: Run) -> list[Cell]:
        """The verdict of every check of a run."""
        if run.reason:
            return [cell(run, check, "not-run", run.reason) for check in run.checks]
        try:
            self._prepare(run).params  # noqa: B018 (raises where the case cannot be asked for)
        except Unsupported as error:
            return [cell(run, check, "unsupported", str(error)) for check in run.checks]
        extras = self._extras.pop(id(run), None)
        return self._ordinary(run) + (self._extra_cells(run) if extras is None else extras.result())

    def judged(self, run: Run) -> Judged | Failure:
        """The answer to a run beside what it expects; raises :class:`Unsupported`."""
        prepared = self._prepare(run)
        answer = self._answers.ordinary(prepared)
        if isinstance(answer, Failure):
            return answer
        assert isinstance(answer, Answer)
        gradual = self._truths(prepared, gradual=True) if "Subnormal" in prepared.case.flags else None
        return Judged(prepared, answer, self._truths(prepared), gradual)

    def _ordinary(self, run: Run) -> list[Cell]:
        checks = [check for check in run.checks if check in ORDINARY]
        if not checks:
            return []
        found = self.judged(run)
        if isinstance(found, Failure):
            return [failed(run, check, found) for check in checks]
        return found.cells()

    def _extra_cells(self, run: Run) -> list[Cell]:
        return [self._extra(run, check) for check in run.checks if check not in ORDINARY]

    def _extra(self, run: Run, check: str) -> Cell:
        prepared = self._prepare(run)
        kind: type[Dialogue] = Consistency if check in CONSISTENCY else Usage
        dialogue = kind(prepared, functools.partial(self._answers.ask, prepared), self._truths)
        try:
            found = getattr(dialogue, check)()
        except NoAnswer as stopped:
            return failed(run, check, stopped.failure)
        except Unjudged as outcome:
            return cell(run, check, outcome.verdict, outcome.reason)
        detail = found.detail or "; ".join(graded(found.grades))
        return cell(run, check, "pass" if found.ok else "fail", detail, grade="; ".join(found.grades))
