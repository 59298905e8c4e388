"""One ``pytest conformance``: its items, its cells and its results.

One pytest item is a run (case × implementation × device × dtype × mode); its checks are the cells of the results.
Cells travel with pytest's reports, so that they reach the process that writes them under pytest-xdist too.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

import pytest

from ..adapters.installed import framework_version, frameworks, numeric_setups
from ..adapters.registry import implementations
from ..checks.run import Run
from ..dtypes import DTYPES
from ..errors import LossmarkError
from ..results.cell import VERDICTS, Cell, Verdict
from ..results.environment import environment
from ..results.record import Recorder
from ..rooms import room
from ..specification.library import losses
from . import known_failures as expectations
from .plan import Choice, plan, required
from .suite import Suite

CELLS = "lossmark cells"


class Session:
    """One ``pytest conformance``: the plan, the suite that judges it, and the record."""

    def __init__(self, config: pytest.Config):
        option = config.option
        required([name for name in os.environ.get("LOSSMARK_REQUIRE", "").replace(" ", "").split(",") if name])
        self.choice = Choice(
            tuple(option.impl), tuple(option.loss), option.device, tuple(option.dtype), tuple(option.mode),
            option.case, option.full,
        )  # fmt: skip
        self.config = config
        self.runs = plan(losses(), self.choice)
        if not self.runs:
            raise LossmarkError("no cells are planned: nothing matches the options")
        expected = Path(option.expected) if option.expected else room("conformance") / "expected.yaml"
        self.entries = [*expectations.read(expected), *expectations.declared(self.runs)]
        self.scope = self._scope(named=bool(option.expected))
        self.worker = hasattr(config, "workerinput")
        self.suite: Suite | None = None
        self.seen: set[str] = set()
        self.recorded: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        path = option.results if option.results and not self.worker else os.devnull
        self.stream = open(path, "w", encoding="utf-8", buffering=1)  # noqa: SIM115 (closed when the session ends)
        self.recorder = Recorder(self.stream)
        self.started = time.perf_counter()
        versions = {name: framework_version(name) for name in frameworks()}
        surroundings = environment(versions, numeric_setups())
        surroundings["implementations"] = {run.target.name: run.target.reference.source for run in self.runs}
        self.recorder.header(sum(len(run.checks) for run in self.runs), surroundings)

    def _scope(self, named: bool) -> expectations.Scope:
        """What the options leave in; a file of expectations ``named`` for this run is about its implementations."""
        choice, specs = self.choice, losses()
        cases = [case.id for loss in specs.values() for group in (loss.cases, loss.families) for case in group]
        modes = [mode.name for adapter in frameworks().values() for mode in adapter.modes]
        scope: dict[str, tuple[Collection[str], Collection[str]]] = {
            "loss": (choice.losses or specs, specs),
            "dtype": (choice.dtypes or DTYPES, DTYPES),
            "mode": (choice.modes or modes, modes),
            "case": ({run.case.id for run in self.runs} if choice.case else cases, cases),
        }
        if choice.impls and not named:
            scope["impl"] = ({run.target.name for run in self.runs}, implementations())
        return scope

    # -- running -----------------------------------------------------------------------------------------------------

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "conformance" in metafunc.fixturenames:
            metafunc.parametrize("conformance", self.runs, ids=[run.id for run in self.runs], indirect=True)

    @pytest.fixture
    def conformance(self, request: pytest.FixtureRequest) -> Conformance:
        if self.suite is None:
            ahead = [item.callspec.params["conformance"] for item in request.session.items if hasattr(item, "callspec")]
            self.suite = Suite([] if self.worker else ahead)
        return Conformance(request.param, self.suite, self.entries, request.node)

    # -- recording: in the process that reports -----------------------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, cells in report.user_properties:
            if name == CELLS and report.when == "teardown":
                self._record(cast(list[dict[str, Any]], cells))

    def _record(self, cells: list[dict[str, Any]]) -> None:
        self.recorded += cells
        self.recorder.cells(cells)
        self.seen.update(_key(cell) for cell in cells)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.suite is not None:
            self.suite.close()
        if self.worker or exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        for run in self.runs:  # deselected, or lost with a pytest worker: said, not dropped
            left = "deselected, or the session ended before it"
            cells = [_unjudged(run, check, "not-run", left).record() for check in run.checks]
            self._record([cell for cell in cells if _key(cell) not in self.seen])
        self.complaints = expectations.stale(self.entries, self.recorded, self.scope)
        self.recorder.footer()
        self.stream.close()
        if self.complaints and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.worker:
            return
        seconds = time.perf_counter() - self.started
        counts = self.recorder.counts
        total = sum(counts.values())
        terminalreporter.section("lossmark")
        for complaint in self.complaints:
            terminalreporter.write_line(complaint, red=True)
        reasons = Counter(
            (cell["impl"], cell["detail"]) for cell in self.recorded if cell["verdict"] in ("not-run", "unsupported")
        )
        for (impl, reason), count in reasons.most_common(12):
            terminalreporter.write_line(f"{count:6} cells of {impl} not judged: {reason}")
        terminalreporter.write_line(", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS))
        planned = sum(len(run.checks) for run in self.runs)
        terminalreporter.write_line(
            f"{total} of {planned} planned cells in {seconds:.0f} s, {total / max(seconds, 1e-9):.0f} cells per second"
        )

    def pytest_report_header(self) -> list[str]:
        versions = ", ".join(f"{name} {framework_version(name) or 'not installed'}" for name in frameworks())
        strict = ", ".join(dict.fromkeys(text for each in frameworks().values() for text in each.numerics[:1]))
        return [f"lossmark: {sum(len(run.checks) for run in self.runs)} cells planned; {versions}; {strict}"]


def _key(cell: dict[str, Any]) -> str:
    return "\0".join(str(cell[name]) for name in ("impl", "device", "dtype", "mode", "case", "check"))


def _unjudged(run: Run, check: str, verdict: Verdict, detail: str) -> Cell:
    target = run.target.reference
    return Cell(
        target.name, target.framework, run.device, run.dtype, run.mode, run.loss.id, run.case.id, check,
        verdict, detail=detail,
    )  # fmt: skip


class Conformance:
    """One run as a test sees it."""

    def __init__(self, run: Run, suite: Suite, entries: list[expectations.Entry], node: pytest.Item):
        self.run, self.suite, self.entries, self.node = run, suite, entries, node

    def check(self) -> None:
        """Judge the run; fails with what was wrong and how to repeat it, skips if nothing could be run."""
        __tracebackhide__ = True
        try:
            found = self.suite.cells(self.run)
        except Exception:  # lossmark's own defect: its cells are errors, and the traceback is shown
            found = [_unjudged(self.run, check, "error", "lossmark failed to judge this") for check in self.run.checks]
            self.node.user_properties.append((CELLS, [cell.record() for cell in found]))
            raise
        cells = [expectations.apply(cell, self.entries) for cell in found]
        self.node.user_properties.append((CELLS, [cell.record() for cell in cells]))
        wrong = [cell for cell in cells if cell.verdict in ("fail", "error")]
        if wrong:
            from .failure_text import failure

            pytest.fail(failure(self.run, self.suite, wrong), pytrace=False)
        if all(cell.verdict in ("not-run", "unsupported") for cell in cells):
            pytest.skip("; ".join(dict.fromkeys(cell.detail for cell in cells)))
