"""What the checks share that ask an implementation more than once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..results.cell import Cell, Verdict
from ..sandbox.json_lines import Declined
from ..sandbox.messages import Answer, Failure, Message, Outcome, Probe, Probed, Reply, Task
from ..specification.case import Case
from ..tolerance.acceptance import Expected
from .judgement import Judgement, judge
from .ordinary import Judged, nothing_ran
from .prepared import Prepared

Ask = Callable[[Message], Reply]
"""Has a message answered by the implementation's process."""
Truth = Callable[[Prepared], Expected]
"""What conforms for a prepared run."""


@dataclass(frozen=True)
class Conclusion:
    """What a check found: whether it passed, why, and its grades: what is a matter of taste and fails nobody."""

    ok: bool
    detail: str = ""
    grades: tuple[str, ...] = ()


class Unjudged(Exception):  # noqa: N818 (an outcome, not an error)
    """The check cannot be made: its verdict, and why."""

    def __init__(self, verdict: Verdict, reason: str):
        super().__init__(reason)
        self.verdict, self.reason = verdict, reason


class Dialogue:
    """One prepared run in talks with its implementation."""

    def __init__(self, prepared: Prepared, ask: Ask, truth: Truth):
        self.prepared, self.ask, self.truth = prepared, ask, truth
        self.run, self.case, self.dtype, self.own = prepared.run, prepared.case, prepared.dtype, prepared.own

    def answer(self, task: Task) -> Answer:
        """The results of a task."""
        found = self.ask(task)
        assert isinstance(found, Answer)
        self._supported(*found.values.values(), *found.gradients.values())
        return found

    def call(self, *calls: Mapping[str, Any]) -> list[Outcome]:
        """The result or the exception of each call with the given keywords."""
        found = self.ask(Probe(self.run.target.name, self.run.loss.id, calls, self.run.device))
        assert isinstance(found, Probed)
        self._supported(*found.outcomes)
        return list(found.outcomes)

    def _supported(self, *outcomes: object) -> None:
        """Go on if a program has not said of any of these calls that it does not support it."""
        for outcome in outcomes:
            if isinstance(outcome, Declined):
                raise Unjudged("unsupported", str(outcome))

    def succeeded(self, *outcomes: Outcome) -> None:
        """Go on if one of these calls gave a result: what always fails refuses, repeats and changes nothing.

        Raises :class:`Unjudged` if none did.
        """
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if failures and len(failures) == len(outcomes):
            raise Unjudged("not-run", nothing_ran(failures[0]))

    def wrong(self, case: Case, answer: Answer, truth: Expected) -> str:
        """What is wrong with the values and gradients of an answer for ``case``; empty if nothing is."""
        judged = Judged(self.prepared.on(case), answer, truth)
        cells: list[Cell] = [judged.value()] + ([judged.gradient()] if answer.gradients else [])
        found = next((cell.detail for cell in cells if cell.verdict in ("fail", "error")), "")
        return found or str(answer.failure or "")

    def wrong_gradient(self, case: Case, answer: Answer) -> tuple[str, bool]:
        """What is wrong with the gradients of an answer for ``case``, and whether a number is; empty if nothing is."""
        found = Judged(self.prepared.on(case), answer, self.truth(self.prepared.on(case))).gradient()
        return (found.detail, found.verdict == "fail") if found.verdict in ("fail", "error") else ("", False)

    def judge(self, outcome: Outcome, case: Case, reduction: str | None, label: str) -> Judgement:
        """The outcome of one call held against the value that the case has under a reduction (None: the default)."""
        if isinstance(outcome, Failure) or outcome.array is None:
            return Judgement(False, note=f"{label}: {outcome if isinstance(outcome, Failure) else outcome.dtype}")
        expected = self.truth(self.prepared.on(case))
        return judge(outcome.array, expected.values[reduction or "mean"], self.dtype, label)


def reduced(keywords: Mapping[str, Any], reduction: str | None) -> dict[str, Any]:
    """The keywords with a reduction, where the function takes one."""
    return {**keywords, **({} if reduction is None else {"reduction": reduction})}
