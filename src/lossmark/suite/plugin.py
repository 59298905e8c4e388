"""One ``pytest conformance`` as pytest sees it.

One pytest item is a run (case × implementation × device × dtype × mode); its checks are the cells of the results.
Cells travel with pytest's reports, so that they reach the process that writes them under pytest-xdist too.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import Any, cast

import pytest

from ..adapters.installed import framework_version, frameworks
from ..checks.run import Run, cell
from ..errors import LossmarkError
from ..specification.library import losses
from . import known_failures
from .failure_table import failure_table
from .failure_text import failure
from .part import divided
from .plan import Choice, plan, required
from .recording import Recording
from .suite import Suite

CELLS = "lossmark cells"
"""The property of a pytest report under which the cells of a run travel."""
RECORDS = pytest.StashKey[list[dict[str, Any]]]()
"""Where an item keeps its cells until its last report."""


class Session:
    """The plan, the suite that judges it, and the record. Raises :class:`LossmarkError` for what cannot be planned."""

    def __init__(self, config: pytest.Config):
        option = config.option
        required([name for name in os.environ.get("LOSSMARK_REQUIRE", "").replace(" ", "").split(",") if name])
        choice = Choice(
            tuple(option.impl), tuple(option.loss), option.device, tuple(option.dtype), tuple(option.mode),
            option.case, option.full, option.command, option.name,
        )  # fmt: skip
        whole = plan(losses(), choice)
        if not whole:
            raise LossmarkError("no cells are planned: nothing matches the options")
        division = divided(whole, option.shard)
        self.runs = division.runs
        self.worker = hasattr(config, "workerinput")
        self.suite: Suite | None = None
        results = "" if self.worker else option.results
        self.recording = Recording(division, choice, results=results, expected=option.expected)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One item per run."""
        if "conformance" in metafunc.fixturenames:
            metafunc.parametrize("conformance", self.runs, ids=[run.id for run in self.runs], indirect=True)

    @pytest.fixture
    def conformance(self, request: pytest.FixtureRequest) -> Conformance:
        """The run of an item; the first one starts the suite, which works ahead unless it shares the plan."""
        if self.suite is None:
            items = request.session.items
            runs = [item.callspec.params["conformance"] for item in items if hasattr(item, "callspec")]
            self.suite = Suite(runs, ahead=not self.worker)
        return Conformance(request.param, self.suite, self.recording.entries, request.node)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Give the cells to the last report of an item."""
        report = yield
        if report.when == "teardown" and RECORDS in item.stash:
            report.user_properties.append((CELLS, item.stash[RECORDS]))
            del item.stash[RECORDS]
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the cells that a report carries, in the process that reports; pytest keeps the report without them."""
        for name, cells in report.user_properties:
            if name == CELLS:
                self.recording.add(cast(list[dict[str, Any]], cells))
        report.user_properties = [(name, value) for name, value in report.user_properties if name != CELLS]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """End the workers and the record; known failures that are not as written fail the run."""
        if self.suite is not None:
            self.suite.close()
        if self.worker or exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        self.recording.finish()
        if self.recording.complaints and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """All failures as a table, what was not judged and why, the counts, and what is wrong with known failures."""
        if self.worker:
            return
        terminalreporter.section("lossmark")
        for line in failure_table(self.recording.wrong):
            terminalreporter.write_line(line)
        for complaint in self.recording.complaints:
            terminalreporter.write_line(complaint, red=True)
        for line in self.recording.summary():
            terminalreporter.write_line(line)

    def pytest_report_header(self) -> list[str]:
        """How many cells are planned, and the versions of the frameworks."""
        versions = ", ".join(f"{name} {framework_version(name) or 'not installed'}" for name in frameworks())
        strict = ", ".join(dict.fromkeys(text for each in frameworks().values() for text in each.numerics[:1]))
        return [f"lossmark: {self.recording.planned} cells planned{self.recording.of_whole}; {versions}; {strict}"]


class Conformance:
    """One run as a test sees it."""

    def __init__(self, run: Run, suite: Suite, entries: Sequence[known_failures.KnownFailure], node: pytest.Item):
        self.run, self.suite, self.entries, self.node = run, suite, entries, node

    def check(self) -> None:
        """Judge the run; fails with what was wrong and how to repeat it, skips if nothing could be run."""
        __tracebackhide__ = True
        try:
            found = self.suite.cells(self.run)
        except Exception:  # lossmark's own defect: its cells are errors, and the traceback is shown
            found = [cell(self.run, check, "error", "lossmark failed to judge this") for check in self.run.checks]
            self.node.stash[RECORDS] = [one.record() for one in found]
            raise
        cells = [known_failures.apply(one, self.entries) for one in found]
        self.node.stash[RECORDS] = [one.record() for one in cells]
        wrong = [one for one in cells if one.verdict in ("fail", "error")]
        if wrong:
            pytest.fail(failure(self.run, self.suite, wrong), pytrace=False)
        if all(one.verdict in ("not-run", "unsupported") for one in cells):
            pytest.skip("; ".join(dict.fromkeys(one.detail for one in cells)))
