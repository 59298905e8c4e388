"""Observed kills: implementations are run through the suite like anybody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..plan import ORDINARY, Choice, Run, Target, plan_targets
from ..registry import losses
from ..spec.loss import Case
from ..suite import Suite, Unsupported
from ..work import Failure
from .rivals import LOSSMARK, RIVALS

USAGE = "usage"
"""The class of kills by checks of usage, which need no case of their own."""


@dataclass
class Kills:
    """What failed of one implementation in one dtype."""

    cases: dict[str, str] = field(default_factory=dict)
    """Case → its class, of the cases that failed."""
    rivals: set[str] = field(default_factory=set)
    """The ways of comparing that see it."""

    @property
    def first(self) -> str:
        return next(iter(self.cases), "")

    def without(self, case_class: str) -> bool:
        """Whether it would be killed if one class of cases were missing."""
        return any(kind != case_class for kind in self.cases.values())


Found = dict[tuple[str, str], Kills]
"""(implementation, dtype) → its kills."""


def observe(targets: Sequence[Target], *, large: bool = True) -> Found:
    """Run them over all golden cases and families, families of a million numbers only where nothing else killed."""
    runs = plan_targets(losses(), Choice(), list(targets))
    small = [run for run in runs if not run.large]
    found: Found = {}
    suite = Suite(small, shared=True)
    try:
        for run in small:
            _hold(suite, run, found)
        for run in runs:
            if large and run.large and not found[run.target.name, run.dtype].cases:
                _hold(suite, run, found)
    finally:
        suite.close()
    return found


def _hold(suite: Suite, run: Run, found: Found) -> None:
    kills = found.setdefault((run.target.name, run.dtype), Kills())
    kind = run.case.case_class if isinstance(run.case, Case) else "generic"
    try:
        judged = suite.judged(run) if set(run.checks) & set(ORDINARY) else None
    except Unsupported:
        return
    if isinstance(judged, Failure):  # a crash or a hang is seen by any test
        kills.cases[run.case.id] = kind
        kills.rivals |= {rival.name for rival in RIVALS}
    elif judged is not None:
        wrong = frozenset(cell.check for cell in judged.cells() if cell.verdict in ("fail", "error"))
        kills.rivals |= {rival.name for rival in RIVALS if rival.sees(judged, wrong)}
        if wrong:
            kills.cases[run.case.id] = kind
    usage = tuple(check for check in run.checks if check not in ORDINARY)
    if usage and any(cell.verdict in ("fail", "error") for cell in suite.cells(replace(run, checks=usage))):
        kills.cases.setdefault(run.case.id, kind if "refusal" in usage else USAGE)
        kills.rivals.add(LOSSMARK)
