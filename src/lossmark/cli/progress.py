"""A progress bar for a conformance run, as a pytest plugin beside lossmark's own."""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import cast

import pytest
from rich import progress as bars
from rich.console import Console

from ..suite.plugin import CELLS


class Progress:
    """Counts cells while they are judged; ``reason`` is why pytest ended early."""

    def __init__(self, console: Console):
        columns = ("{task.description}", bars.BarColumn(), bars.MofNCompleteColumn(), bars.TimeElapsedColumn())
        self._bar = bars.Progress(*columns, console=console)
        self._task = self._bar.add_task("planning", total=None)
        self.counts: Counter[str] = Counter()
        self.reason = ""

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Set the bar's length: the tests that were collected."""
        self._bar.update(self._task, total=len(session.items), description="conformance")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the cells of a test that has ended."""
        if report.when != "teardown":
            return
        for name, cells in report.user_properties:
            if name == CELLS:
                self.counts.update(cell["verdict"] for cell in cast(list[dict[str, str]], cells))
        wrong = self.counts["fail"] + self.counts["error"]
        self._bar.update(self._task, advance=1, description=f"conformance ({wrong} wrong)" if wrong else "conformance")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Keep why the run is interrupted."""
        self.reason = str(excinfo.value) or "interrupted"
