"""Hill climbing: of each ground the worst candidates are kept, and changed step by step.

A climb depends on its seed and on the number of its steps alone: it may stop after any of them and go on from its
state. Candidates that have stayed the worst for long make room for others; those that were ever the worst are kept
beside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..dtypes import DTYPES
from ..specification.case import Case
from ..specification.loss import Loss
from .catch import AIMS, Catch, caught, recalled
from .examine import Examiner, Unanswered
from .ground import Ground, grounds
from .quarry import HUNTED, Quarry
from .step import stepped

FEWEST = 8
"""Candidates of a step at least, where a call takes fewer."""
WORST_FEW = 3
"""Candidates that are kept for each ground, check and aim."""
PATIENT = 40
"""Steps on a ground without a worse candidate after which those that are kept make room."""
REFUSALS = 3
"""Calls without a result after which a ground is left."""
RESTARTS, ASTRAY = 0.2, 0.2
"""The part of the candidates that come from a golden case, and from those kept by another check or aim."""
FOR_ULPS = 0.3
"""The part of the steps whose aim is the error in ulp."""

Niche = tuple[int, str, str]
"""A ground by its number, a check and an aim."""


@dataclass
class Climb:
    """The hunt of one quarry: what it has found, and all that decides how it goes on."""

    quarry: Quarry
    loss: Loss
    seed: int
    steps: int = 0
    evaluations: int = 0
    """Candidates that were put to the implementation."""
    judged: int = 0
    """Those of which a check could be judged: where bounds are wide, or numbers infinite, none can."""
    refusals: dict[int, int] = field(default_factory=dict)
    reason: str = ""
    """Why a call gave no result, if one did not."""
    kept: dict[Niche, list[Catch]] = field(default_factory=dict)
    still: dict[Niche, int] = field(default_factory=dict)
    """For how many steps a niche has found nothing worse."""
    worst: dict[tuple[str, str], Catch] = field(default_factory=dict)
    """The worst of all, by check and aim."""

    def __post_init__(self) -> None:
        found = grounds(self.loss, self.quarry.dtype, alike=self.quarry.starts_slowly)
        taken = [tuple(case for case in each.starts if self.quarry.takes(self.loss, case)) for each in found]
        self._grounds = [Ground(starts) for starts in taken if starts]

    @property
    def over(self) -> bool:
        """Whether nothing is left to be asked."""
        return all(self.refusals.get(number, 0) >= REFUSALS for number in range(len(self._grounds)))

    def step(self, examiner: Examiner) -> None:
        """Put the candidates of one step to the implementation."""
        generator = np.random.default_rng([self.seed, _digest(self.quarry.key), self.steps])
        focus = self._focus(generator)
        number = self._next(focus, generator)
        few = max(FEWEST, examiner.most())
        first = not any(niche[0] == number for niche in self.kept)
        cases = [self._candidate(number, first, focus, generator) for _ in range(few)]
        self.steps += 1
        self.evaluations += few
        try:
            found = examiner(cases)
        except Unanswered as stopped:
            self.refusals[number] = self.refusals.get(number, 0) + 1
            self.reason = self.reason or str(stopped)
            return
        catches = [caught(case, cells) for case, cells in zip(cases, found, strict=True)]
        self.judged += sum(map(bool, catches))
        self._keep(number, [catch for some in catches for catch in some])

    def _focus(self, generator: np.random.Generator) -> tuple[str, str]:
        """The check and the aim of a step, of those that something was judged by; mostly the share of the bound."""
        aim = AIMS[int(generator.random() < FOR_ULPS)]
        known = [check for check in HUNTED if (check, aim) in self.worst] or list(HUNTED)
        return known[generator.integers(len(known))], aim

    def _next(self, focus: tuple[str, str], generator: np.random.Generator) -> int:
        """The ground of the next step: each once, then any, or the one with the worst."""
        left = [number for number in range(len(self._grounds)) if self.refusals.get(number, 0) < REFUSALS]
        if self.steps < len(self._grounds) and self.steps in left:
            return self.steps
        known = [number for number in left if self.kept.get((number, *focus))]
        if not known or generator.random() < 0.5:
            return left[generator.integers(len(left))]
        return max(known, key=lambda number: self.kept[number, *focus][0].by(focus[1]))

    def _candidate(self, number: int, first: bool, focus: tuple[str, str], generator: np.random.Generator) -> Case:
        """One that is kept, or a golden case, changed; on a ground that is new every second golden case as it is."""
        parent = self._parent(number, focus, generator)
        if first and generator.random() < 0.5:
            return parent
        mate = self._parent(number, focus, generator)
        return stepped(self.loss, parent, mate, DTYPES[self.quarry.dtype], generator)

    def _parent(self, number: int, focus: tuple[str, str], generator: np.random.Generator) -> Case:
        """One of those kept in the niche of the step, the worst most often; or of another niche, or a golden case."""
        chance = generator.random()
        others = [niche for niche, kept in sorted(self.kept.items()) if niche[0] == number and kept]
        if not others or chance < RESTARTS:
            starts = self._grounds[number].starts
            return starts[generator.integers(len(starts))]
        niche = (number, *focus)
        if niche not in others or chance < RESTARTS + ASTRAY:
            niche = others[generator.integers(len(others))]
        return self.kept[niche][generator.integers(generator.integers(len(self.kept[niche])) + 1)].case

    def _keep(self, number: int, catches: Sequence[Catch]) -> None:
        for check in HUNTED:
            for aim in AIMS:
                some = [catch for catch in catches if catch.check == check]
                if some:
                    self._keep_in((number, check, aim), some)

    def _keep_in(self, niche: Niche, catches: Sequence[Catch]) -> None:
        """Keep the worst in a niche, no two alike, and the worst of all."""
        _, check, aim = niche
        before = self.kept.get(niche, [])
        different: dict[tuple[bool, float], Catch] = {}
        for catch in [*before, *catches]:
            different.setdefault(catch.by(aim), catch)
        kept = [different[score] for score in sorted(different, reverse=True)[:WORST_FEW]]
        better = not before or kept[0].by(aim) > before[0].by(aim)
        self.still[niche] = 0 if better else self.still.get(niche, 0) + 1
        if self.still[niche] >= PATIENT:
            kept, self.still[niche] = [], 0
        self.kept[niche] = kept
        best = max(catches, key=lambda catch: catch.by(aim))
        if (check, aim) not in self.worst or best.by(aim) > self.worst[check, aim].by(aim):
            self.worst[check, aim] = best

    def state(self) -> dict[str, Any]:
        """All of it as JSON has it, but for quarry and seed."""
        return {
            "steps": self.steps,
            "evaluations": self.evaluations,
            "judged": self.judged,
            "refusals": sorted(self.refusals.items()),
            "reason": self.reason,
            "worst": [{"by": aim, **catch.record()} for (_, aim), catch in sorted(self.worst.items())],
            "kept": [
                {"ground": number, "by": aim, "check": check, "still": self.still[number, check, aim],
                 "catches": [catch.record() for catch in catches]}
                for (number, check, aim), catches in sorted(self.kept.items())
            ],
        }  # fmt: skip


def climb_of(quarry: Quarry, loss: Loss, seed: int, state: Mapping[str, Any] | None) -> Climb:
    """A climb at its beginning, or where :meth:`Climb.state` left it; raises :class:`LossmarkError` for no state."""
    climb = Climb(quarry, loss, seed)
    if state is None:
        return climb
    climb.steps, climb.evaluations, climb.judged = state["steps"], state["evaluations"], state["judged"]
    climb.refusals, climb.reason = dict(map(tuple, state["refusals"])), state["reason"]
    for row in state["worst"]:
        climb.worst[row["check"], row["by"]] = recalled(loss, row)
    for part in state["kept"]:
        niche = part["ground"], part["check"], part["by"]
        climb.kept[niche], climb.still[niche] = [recalled(loss, row) for row in part["catches"]], part["still"]
    return climb


def _digest(key: Sequence[str]) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(key).encode()).digest()[:8])
