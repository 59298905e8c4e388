"""Observed kills: which cases of the suite an implementation fails, and which other ways of comparing see it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ..adapters.installed import framework, frameworks
from ..checks.catalogue import ORDINARY
from ..checks.prepared import Unsupported
from ..checks.run import Run
from ..sandbox.messages import Failure
from ..sandbox.target import Target
from ..specification.case import Case, Embedded
from ..specification.library import losses
from ..suite.plan import Choice, plan_targets
from ..suite.suite import Suite
from .rivals import LOSSMARK, RIVALS

USAGE_CLASS = "usage"
"""Stands for the class of a case where a check of usage kills, which needs no case of its own."""
RAISED = "raised"
"""Stands for the checks that fail where a call raises."""
LARGE_CLASS = "in the large"
"""Stands for the class of a larger batch, in which rows of golden cases of every class stand."""


@dataclass
class Kills:
    """What one implementation fails in one dtype."""

    cases: dict[str, str] = field(default_factory=dict)
    """Failed case → its class; failed case and check of usage → :data:`USAGE_CLASS`."""
    checks: dict[str, str] = field(default_factory=dict)
    """The same keys → the checks that failed."""
    rivals: dict[str, set[str]] = field(default_factory=dict)
    """The ways of comparing that call results wrong → the cases on which they do."""

    def add(self, case: str, kind: str, check: str) -> None:
        """Note that a case of some class fails a check, or several."""
        self.cases[case] = kind
        self.checks[case] = check

    def accuse(self, case: str, rivals: Iterable[str]) -> None:
        """Note which ways of comparing call the results on a case wrong."""
        for rival in rivals:
            self.rivals.setdefault(rival, set()).add(case)

    @property
    def raises(self) -> bool:
        """Whether it is killed by nothing but that it raises."""
        return bool(self.checks) and set(self.checks.values()) == {RAISED}

    @property
    def first(self) -> str:
        """The first case that failed; empty if none did."""
        return next(iter(self.cases), "")

    def without(self, case_class: str) -> bool:
        """Whether it is killed also without the cases of one class, and without the larger batches that hold them."""
        return set(self.cases.values()) - {LARGE_CLASS} != {case_class}

    @property
    def settled(self) -> bool:
        """Whether it is killed without any one class of cases: then no further run is needed."""
        return len(set(self.cases.values()) - {LARGE_CLASS}) > 1


KillTable = dict[tuple[str, str], Kills]
"""(implementation, dtype) → its kills."""


def eagerly_and_traced() -> tuple[Choice, Choice]:
    """Every dtype in eager mode, and float32 in every other: a program for each shape and dtype takes too long."""
    others = {mode.name for name in frameworks() for mode in framework(name).modes} - {"eager"}
    return Choice(modes=("eager",)), Choice(dtypes=("float32",), modes=tuple(sorted(others)))


def _every(run: Run) -> bool:
    """Every run is wanted."""
    return True


def observe(
    targets: Sequence[Target],
    *,
    large: bool = True,
    without: Collection[str] = (),
    choices: Sequence[Choice] = (Choice(),),
    wanted: Callable[[Run], bool] = _every,
) -> KillTable:
    """Run implementations through the suite; returns their kills in each dtype.

    Every one is run over all golden cases and small families. The checks of usage and consistency, which take longest,
    are run until it is settled; golden cases in larger batches, and with ``large`` families of a million numbers, if
    nothing else kills it. Of what one of the ``choices`` selects, what is ``wanted`` is run, but for the checks that
    ``without`` names.
    """
    planned = [run for choice in choices for run in plan_targets(losses(), choice, list(targets)) if wanted(run)]
    runs = [lacking(run, without) for run in planned]
    small = [run for run in runs if not is_large(run)]
    found: KillTable = {(run.target.name, run.dtype): Kills() for run in runs}
    suite = Suite(small, shared=True)
    try:
        for run in small:
            hold(suite, run, found[run.target.name, run.dtype])
        for searched in (False, True):  # random batches take longer than all else
            for run in small:
                if not found[run.target.name, run.dtype].settled:
                    use(suite, run, found[run.target.name, run.dtype], searched)
        for run in runs:
            more = is_large(run) and (large or isinstance(run.case, Embedded))
            if more and not found[run.target.name, run.dtype].cases:
                hold(suite, run, found[run.target.name, run.dtype])
    finally:
        suite.close()
    return found


def is_large(run: Run) -> bool:
    """Whether it is run only where nothing smaller kills."""
    return run.large or isinstance(run.case, Embedded)


def lacking(run: Run, checks: Collection[str]) -> Run:
    """The run without some of its checks."""
    return replace(run, checks=tuple(check for check in run.checks if check not in checks))


def hold(suite: Suite, run: Run, kills: Kills) -> None:
    """Add what the ordinary checks of lossmark, and its rivals, see in a run."""
    if not set(run.checks) & set(ORDINARY):
        return
    try:
        judged = suite.judged(run)
    except Unsupported:
        return
    if isinstance(judged, Failure):  # any test sees a crash or a hang
        kills.add(run.case.id, _kind(run), judged.kind)
        kills.accuse(run.case.id, (rival.name for rival in RIVALS))
        return
    wrong = frozenset(cell.check for cell in judged.cells() if cell.verdict in ("fail", "error"))
    kills.accuse(run.case.id, (rival.name for rival in RIVALS if rival.sees(judged, wrong)))
    if wrong:
        raised = judged.value().verdict == "error"
        kills.add(run.case.id, _kind(run), RAISED if raised else ", ".join(sorted(wrong)))


def use(suite: Suite, run: Run, kills: Kills, searched: bool) -> None:
    """Add what the checks of usage and consistency see, which no rival makes.

    With ``searched`` these are the checks by random batches, else all the others.
    """
    checks = tuple(check for check in run.checks if check not in ORDINARY and (check == "properties") == searched)
    wrong = [cell.check for cell in suite.cells(replace(run, checks=checks)) if cell.verdict in ("fail", "error")]
    for check in wrong:
        if check == "refusal":
            kills.add(run.case.id, _kind(run), check)
        else:
            kills.add(f"{run.case.id} ({check})", USAGE_CLASS, check)
    if wrong:
        kills.accuse(run.case.id, [LOSSMARK])


def _kind(run: Run) -> str:
    if isinstance(run.case, Embedded):
        return LARGE_CLASS
    return run.case.case_class if isinstance(run.case, Case) else "generic"
