"""pytest's own list of failures, cut to the first ones of each implementation.

pytest prints every failure in full, and for each goes through all reports that it has kept. Here it is given the first
failures to print; what it counts stays all. Of the others the results file has the cells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from ..checks.run import Run

FIRST = 2
"""Failures of an implementation that are printed in full."""
MOST = 120
"""Failures that are printed in full in all; so many implementations have one each."""


class FirstFailures:
    """A pytest plugin for the process that reports."""

    def __init__(self, runs: Sequence[Run]):
        self._impl = {run.id: run.target.name for run in runs}
        self._each = max(1, min(FIRST, MOST // len(set(self._impl.values()))))
        self._printed: Counter[str] = Counter()
        self._left_out: set[str] = set()
        self._reporter: Any = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Find pytest's reporter; there is none where pytest prints nothing."""
        self._reporter = session.config.pluginmanager.get_plugin("terminalreporter")

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep of a report what will be printed."""
        impl = self._impl.get(report.nodeid.partition("[")[2].removesuffix("]"))
        if impl is None:
            return
        if report.when != "call":
            self._forget(report)
        elif report.failed and self._printed[impl] < self._each and self._printed.total() < MOST:
            self._printed[impl] += 1
        elif report.failed:
            self._left_out.add(report.nodeid)
            report.longrepr = None

    def _forget(self, report: pytest.TestReport) -> None:
        """Have pytest not keep the report of a setup or a teardown in which nothing happened."""
        kept = [] if self._reporter is None else self._reporter.stats.get("", [])
        if kept and kept[-1] is report and not report.sections:
            kept.pop()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, None, None]:
        """Show pytest no other failures while it prints its summary; the counts come after that."""
        stats = terminalreporter.stats
        failed = stats.get("failed", [])
        if not self._left_out:
            return (yield)
        stats["failed"] = [report for report in failed if report.nodeid not in self._left_out]
        try:
            yield
        finally:
            stats["failed"] = failed
        each = "the first failure" if self._each == 1 else f"the first {self._each} failures"
        terminalreporter.write_line(
            f"{len(self._left_out)} more failed: in full are {each} of an implementation, {MOST} in all; the table "
            "counts all, --results FILE.jsonl has all"
        )
