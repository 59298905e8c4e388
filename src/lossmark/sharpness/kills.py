"""Observed kills: implementations are run through the suite like anybody's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from ..checks.catalogue import ORDINARY
from ..checks.prepared import Unsupported
from ..checks.run import Run
from ..sandbox.target import Target
from ..specification.case import Case
from ..specification.library import losses
from ..suite.plan import Choice, plan_targets
from ..suite.suite import Suite
from ..work import Failure
from .rivals import LOSSMARK, RIVALS

USAGE = "usage"
"""The class of kills by checks of usage, which need no case of their own."""


@dataclass
class Kills:
    """What failed of one implementation in one dtype."""

    cases: dict[str, str] = field(default_factory=dict)
    """Case → its class, of the cases that failed; case and check → :data:`USAGE`."""
    rivals: set[str] = field(default_factory=set)
    """The ways of comparing that see it."""

    @property
    def first(self) -> str:
        return next(iter(self.cases), "")

    def without(self, case_class: str) -> bool:
        """Whether it would be killed if one class of cases were missing."""
        return any(kind != case_class for kind in self.cases.values())

    @property
    def settled(self) -> bool:
        """Whether it would be killed whatever class of cases were missing: nothing more need be found out."""
        return len(set(self.cases.values())) > 1


Found = dict[tuple[str, str], Kills]
"""(implementation, dtype) → its kills."""


def observe(
    targets: Sequence[Target], *, large: bool = True, thorough: bool = True, without: Collection[str] = ()
) -> Found:
    """Run them over all golden cases and small families; the rest, which takes longest, until they are settled.

    The rest are the checks of usage and consistency, and families of a million numbers for what nothing else kills.
    Unless ``thorough``, nothing is run of what is settled, so that what rivals see is not known. ``without`` names
    checks that are not made.
    """
    planned = plan_targets(losses(), Choice(), list(targets))
    runs = [replace(run, checks=tuple(check for check in run.checks if check not in without)) for run in planned]
    small = [run for run in runs if not run.large]
    found: Found = {(run.target.name, run.dtype): Kills() for run in runs}
    suite = Suite(small if thorough else (), shared=True)
    try:
        for run in small:
            if thorough or not found[run.target.name, run.dtype].settled:
                _hold(suite, run, found[run.target.name, run.dtype])
        for searched in (False, True):  # random batches take longer than all else
            for run in small:
                if not found[run.target.name, run.dtype].settled:
                    _use(suite, run, found[run.target.name, run.dtype], searched)
        for run in runs:
            if large and run.large and not found[run.target.name, run.dtype].cases:
                _hold(suite, run, found[run.target.name, run.dtype])
    finally:
        suite.close()
    return found


def _hold(suite: Suite, run: Run, kills: Kills) -> None:
    """The ordinary checks, by lossmark and by its rivals."""
    if not set(run.checks) & set(ORDINARY):
        return
    try:
        judged = suite.judged(run)
    except Unsupported:
        return
    if isinstance(judged, Failure):  # a crash or a hang is seen by any test
        kills.cases[run.case.id] = _kind(run)
        kills.rivals |= {rival.name for rival in RIVALS}
        return
    wrong = frozenset(cell.check for cell in judged.cells() if cell.verdict in ("fail", "error"))
    kills.rivals |= {rival.name for rival in RIVALS if rival.sees(judged, wrong)}
    if wrong:
        kills.cases[run.case.id] = _kind(run)


def _use(suite: Suite, run: Run, kills: Kills, searched: bool) -> None:
    """The checks of usage and of consistency, which no rival makes: those by random batches, or the others."""
    checks = tuple(check for check in run.checks if check not in ORDINARY and (check == "properties") == searched)
    wrong = [cell.check for cell in suite.cells(replace(run, checks=checks)) if cell.verdict in ("fail", "error")]
    for check in wrong:
        if check == "refusal":
            kills.cases[run.case.id] = _kind(run)
        else:
            kills.cases[f"{run.case.id} ({check})"] = USAGE
    if wrong:
        kills.rivals.add(LOSSMARK)


def _kind(run: Run) -> str:
    return run.case.case_class if isinstance(run.case, Case) else "generic"
