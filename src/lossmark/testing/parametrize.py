"""One test for every check of an implementation, as scikit-learn's ``parametrize_with_checks`` makes them.

    @conforms(my_losses)          # an Implementation, or a function with losses="bpr"
    def test_losses(check):
        check()

The suite plans and judges; the implementation answers in this very process.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ..adapters.implementation import Implementation
from ..adapters.installed import framework_version, frameworks
from ..checks.run import Run
from ..errors import LossmarkError
from ..results.cell import Cell
from ..sandbox.describe import described
from ..sandbox.target import target_of
from ..specification.library import losses as library
from ..suite.failure_text import failure
from ..suite.in_process import InProcess
from ..suite.plan import Choice, check, plan_targets
from ..suite.suite import Suite
from .conformity import NonConforming

MOST_FUNCTIONS = 100
"""So many functions are looked into for the framework that they use."""


class LastJudged:
    """A suite with the cells of the run that was judged last: the checks of a run follow each other."""

    def __init__(self, suite: Suite):
        self.suite = suite
        self._last: tuple[Run, dict[str, Cell]] | None = None

    def cells(self, run: Run) -> dict[str, Cell]:
        """The cells of a run by the names of their checks."""
        if self._last is None or self._last[0] is not run:
            self._last = run, {cell.check: cell for cell in self.suite.cells(run)}
        return self._last[1]


class OneCheck:
    """One check of one case in one dtype; calling it makes the check.

    A call raises :class:`NonConforming` for what does not conform, and skips the test where nothing could be checked,
    with the reason.
    """

    def __init__(self, judged: LastJudged, run: Run, name: str):
        self._judged, self.run, self.name = judged, run, name

    def __repr__(self) -> str:
        return f"{self.run.id}-{self.name}"

    def __call__(self) -> None:
        """Make the check."""
        __tracebackhide__ = True
        found = self._judged.cells(self.run)[self.name]
        if found.verdict in ("fail", "error"):
            raise NonConforming(failure(self.run, self._judged.suite, [found]), found.worst)
        if found.verdict in ("not-run", "unsupported"):
            pytest.skip(found.detail)


def conforms(
    subject: Implementation | Callable[..., Any],
    losses: str | Iterable[str] | None = None,
    *,
    framework: str | None = None,
    dtypes: str | Iterable[str] = (),
    full: bool = False,
) -> pytest.MarkDecorator:
    """Parametrise a test by ``check``: every case of every loss, in every dtype, with each of its checks.

    ``subject`` is an :class:`~lossmark.Implementation`, of whose losses ``losses`` may choose some, or one function (a
    module, any callable) that is all the losses named, by default the one that it is named as; its ``framework`` is
    found out from what it uses, or named. ``full`` adds the largest cases.
    Raises ValueError for an unknown loss, dtype or framework, or a function that does not fit its loss.
    """
    wanted = (losses,) if isinstance(losses, str) else tuple(losses or ())
    choice = Choice(losses=wanted, dtypes=(dtypes,) if isinstance(dtypes, str) else tuple(dtypes), full=full)
    try:
        check(library(), choice)
        implementation = subject if isinstance(subject, Implementation) else _made(subject, wanted, framework)
        runs = plan_targets(library(), choice, [target_of(described(implementation, ""))])
    except LossmarkError as error:
        raise ValueError(str(error).removeprefix(": ")) from None
    if not runs:
        raise ValueError(f"{implementation.name} has none of the losses {', '.join(wanted)}")
    judged = LastJudged(Suite(runs, ahead=False, answers=InProcess(implementation)))
    checks = [OneCheck(judged, run, name) for run in runs for name in run.checks]
    return pytest.mark.parametrize("check", checks, ids=repr)


def _made(function: Callable[..., Any], wanted: tuple[str, ...], framework: str | None) -> Implementation:
    """The implementation that has one function for the losses named, or for the one that it is named as."""
    name = getattr(function, "__name__", type(function).__name__)
    implementation = Implementation(name, framework or _framework_of(function, name))
    for loss in wanted or (name,):
        implementation.loss(loss)(function)
    return implementation


def _framework_of(function: Callable[..., Any], name: str) -> str:
    """The framework of a function's class, or the one that its code names."""
    of_class = {_module(base).partition(".")[0] for base in type(function).__mro__}
    known = frameworks().values()
    found = [each.name for each in known if each.module in of_class]
    found = found or [each.name for each in known if each.module in _named(function)]
    if len(found) > 1 and "numpy" in found:  # which others are used with
        found.remove("numpy")
    if len(found) != 1:
        installed = ", ".join(each for each in frameworks() if framework_version(each))
        seen = f"uses {', '.join(found)}" if found else "shows no framework"
        raise ValueError(f"{name} {seen}: name one, framework=…, of {installed}")
    return found[0]


def _named(function: Callable[..., Any]) -> set[str]:
    """The packages of what the code of a function names, and the code of functions that it names."""
    found, seen, waiting = set[str](), set[int](), [inspect.unwrap(function)]
    while waiting and len(seen) < MOST_FUNCTIONS:
        code = getattr(waiting[-1], "__code__", None)
        scope = {**getattr(waiting.pop(), "__globals__", {})}
        for word in () if code is None else code.co_names:
            value = scope.get(word)
            found.add(_module(value).partition(".")[0])
            if inspect.isfunction(value) and id(value) not in seen:
                seen.add(id(value))
                waiting.append(inspect.unwrap(value))
    return found


def _module(value: Any) -> str:
    """The module that a value is, or comes from."""
    found = getattr(value, "__name__" if inspect.ismodule(value) else "__module__", "")
    return found if isinstance(found, str) else ""
