"""Runs a plan: each run is prepared, answered by a worker, held against what conforms, and becomes cells.

    run ─ prepare ─► case in its dtype and shape ─ answers ─► results ─ truths ─► what conforms ─ checks ─► cells

Workers run ahead of the judge; checks that ask a worker again and again are made ahead too, in threads, so that one
framework is asked while another computes.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from ..cache import tidy
from ..checks.catalogue import CONSISTENCY, ORDINARY, REFUSAL
from ..checks.consistency import Consistency
from ..checks.dialogue import Dialogue, Unjudged
from ..checks.ordinary import Judged
from ..checks.prepared import Prepared, Unsupported
from ..checks.run import Run, cell, failed
from ..checks.usage import Usage
from ..results.cell import Cell
from ..sandbox.messages import Answer, Failure
from ..tolerance.acceptance import Expected
from .answers import Answering, Answers, NoAnswer, Talk
from .prepare import Preparation
from .truths import Truths

DIALOGUES = 4
"""How many checks that ask a worker more than once are made at a time, of lossmark's own implementations: what a guest
crashes in must not depend on the order."""

MANY_TERMS = 4096
"""Beyond so many classes or dimensions the bound of a sum in any order is wide: a narrower one is graded beside it."""


class Suite:
    """Judges runs. ``plan`` lists the runs that will be judged, in order; workers start on them, if ``ahead``.

    Not ahead are suites that share a plan, each of which judges some of its runs. ``shared`` gives one process to all
    implementations of a file. ``answers`` are by default those of processes.
    """

    def __init__(
        self,
        plan: Iterable[Run] = (),
        *,
        shared: bool = False,
        ahead: bool = True,
        answers: Answering | None = None,
    ):
        self._prepare, self._truths = Preparation(), Truths()
        self._answers = answers or Answers(shared=shared)
        self._dialogues = ThreadPoolExecutor(DIALOGUES, "dialogue")
        self._extras: dict[int, Future[list[Cell]]] = {}
        runs = [run for run in plan if not run.reason]
        self._answers.expect(runs)
        if not ahead:
            return
        self._answers.ahead([run for run in runs if REFUSAL.name not in run.checks], self._prepare)
        for run in runs:
            if run.target.reference.own and set(run.checks) - set(ORDINARY):
                self._extras[id(run)] = self._dialogues.submit(self._extra_cells, run)

    def close(self) -> None:
        """End every worker, and leave no more than may be kept for the next run."""
        self._dialogues.shutdown(wait=False, cancel_futures=True)
        self._answers.close()
        tidy()

    def prepared(self, run: Run) -> Prepared:
        """The run with its case as it is run."""
        return self._prepare(run)

    def expected(self, prepared: Prepared) -> Expected:
        """What conforms in a prepared run, which all implementations share."""
        return self._truths(prepared)

    def cells(self, run: Run) -> list[Cell]:
        """The verdict of every check of a run."""
        if run.reason:
            return [cell(run, check, "not-run", run.reason) for check in run.checks]
        found = self._cells(run)
        self._answers.judged(run)
        return found

    def _cells(self, run: Run) -> list[Cell]:
        try:
            self._prepare(run).params  # noqa: B018 (raises where the case cannot be asked for)
        except Unsupported as error:
            return [cell(run, check, "unsupported", str(error)) for check in run.checks]
        extras = self._extras.pop(id(run), None)
        return self._ordinary(run) + (self._extra_cells(run) if extras is None else extras.result())

    def judged(self, run: Run) -> Judged | Failure:
        """The answer to a run beside what it expects; raises :class:`Unsupported`."""
        return self._judged(run)[0]

    def _judged(self, run: Run) -> tuple[Judged | Failure, str]:
        """What :meth:`judged` gives, and why the run was tried twice."""
        prepared = self._prepare(run)
        served = self._answers.ordinary(prepared)
        if isinstance(served.found, Failure):
            return served.found, served.retried
        assert isinstance(served.found, Answer)
        gradual = self._truths(prepared, gradual=True) if "Subnormal" in prepared.case.flags else None
        scattered = self._truths(prepared, scattered=True) if prepared.case.longest > MANY_TERMS else None
        return Judged(prepared, served.found, self._truths(prepared), gradual, scattered), served.retried

    def _ordinary(self, run: Run) -> list[Cell]:
        checks = [check for check in run.checks if check in ORDINARY]
        if not checks:
            return []
        found, retried = self._judged(run)
        cells = [failed(run, check, found) for check in checks] if isinstance(found, Failure) else found.cells()
        return [replace(each, retried=retried) for each in cells]

    def _extra_cells(self, run: Run) -> list[Cell]:
        return [self._extra(run, check) for check in run.checks if check not in ORDINARY]

    def _extra(self, run: Run, check: str) -> Cell:
        talk = Talk(self._answers, run, check)
        kind: type[Dialogue] = Consistency if check in CONSISTENCY else Usage
        dialogue = kind(self._prepare(run), talk, self._truths)
        return replace(_concluded(run, check, dialogue), retried=talk.retried)


def _concluded(run: Run, check: str, dialogue: Dialogue) -> Cell:
    """The cell of a check that asks an implementation more than once."""
    try:
        found = getattr(dialogue, check)()
    except NoAnswer as stopped:
        return failed(run, check, stopped.failure)
    except Unjudged as outcome:
        return cell(run, check, outcome.verdict, outcome.reason)
    return cell(run, check, "pass" if found.ok else "fail", found.detail, grades=found.grades)
