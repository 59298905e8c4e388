"""The ordinary checks on one answer: value, gradient, result, unmodified inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..adapters.deviation import expired
from ..dtypes import DType
from ..results.cell import Cell, Verdict
from ..sandbox.messages import Answer, Failure, Returned
from ..specification.case import Case
from ..tolerance.acceptance import Expected
from .catalogue import ORDINARY
from .judgement import SPOILT, TEXTBOOK_FORM, Judgement, combine, judge, loose, slopes
from .prepared import Prepared
from .run import Run, cell, failed

TOO_LOOSE = "the bound exceeds a quarter of the exact value"
BEYOND_ROOT = "beyond √n"
"""The grade of a sum of n terms that conforms only if its rounding errors may all have one sign."""
NOT_OF_OUR_OWN = {
    TEXTBOOK_FORM: "loses digits that the formula keeps",
    SPOILT: "an example that does not count makes the gradient NaN",
}
"""Grades with which others pass and lossmark's own implementations do not: what is wrong."""


def nothing_ran(failure: Failure) -> str:
    """Why nothing can be said of calls that all ended in failures such as this one."""
    return f"no call gave a result: {failure}"


@dataclass(frozen=True)
class Judged:
    """The ordinary checks on one answer."""

    prepared: Prepared
    answer: Answer
    truth: Expected
    gradual: Expected | None = None
    """What conforms where underflow is gradual, for cases that are about it: the better grade."""
    scattered: Expected | None = None
    """What conforms where the rounding errors of sums are independent, for cases of many terms: the better grade."""

    @property
    def run(self) -> Run:
        """The run that was asked."""
        return self.prepared.run

    @property
    def case(self) -> Case:
        """The case as it was run."""
        return self.prepared.case

    @property
    def dtype(self) -> DType:
        """The format under test."""
        return self.prepared.dtype

    def cells(self) -> list[Cell]:
        """The verdicts of the ordinary checks that the run asks for."""
        checks = [check for check in self.run.checks if check in ORDINARY]
        refused = self._refused()
        return [
            cell(self.run, check, "unsupported", refused) if refused else getattr(self, check)() for check in checks
        ]

    def _refused(self) -> str:
        """What a guest says that refuses a NaN label, which conforms; else empty."""
        failure = self.answer.failure
        if self.prepared.own or failure is None or failure.kind != "raised":
            return ""
        labels = [self.case.inputs[item.name] for item in self.run.loss.inputs if item.label]
        return f"a NaN label is refused: {failure}" if any(np.isnan(label).any() for label in labels) else ""

    def value(self) -> Cell:
        """The value under each reduction."""
        return self._graded(self._value(), lambda better: better._value())

    def gradient(self) -> Cell:
        """The gradient of sum and mean, and of none under a random cotangent; and the value that came with it."""
        return self._graded(self._gradient(), lambda better: better._gradient())

    def _graded(self, found: Cell, again: Callable[[Judged], Cell]) -> Cell:
        """The cell with its grade, in a case of subnormal numbers or of many terms."""
        if found.verdict != "pass" or found.grade:
            return found
        if self.gradual is not None:
            strict = again(replace(self, truth=self.gradual, gradual=None, scattered=None))
            grade = "gradual underflow" if _conforms(strict) else "flushed to zero"
            return replace(found, grade=grade, detail=f"grade: {grade}")
        if self.scattered is not None:
            strict = again(replace(self, truth=self.scattered, scattered=None))
            told = f"{strict.budget_used:.2g} of the bound by √n" if strict.budget_used is not None else found.detail
            return replace(found, grade="" if _conforms(strict) else BEYOND_ROOT, detail=told)
        return found

    def _value(self) -> Cell:
        parts, error = [], None
        for reduction, outcome in self.answer.values.items():
            accepted = self.truth.values[reduction or "mean"]
            if isinstance(outcome, Failure):
                error = error or outcome
            elif not loose([accepted], self.dtype):
                parts.append(self._number(outcome, accepted, reduction or "mean"))
        return self._verdict("value", parts, error)

    def _gradient(self) -> Cell:
        if not self.run.target.differentiates(self.run.loss):
            return cell(self.run, "gradient", "unsupported", "no gradient is registered")
        parts, error = [], None
        for reduction, found in self.answer.gradients.items():
            if isinstance(found, Failure):
                error = error or found
                continue
            which = reduction or "mean"
            accepted = self.truth.gradients[which]
            if loose(list(accepted.values()), self.dtype):
                continue
            zeros = {name: np.zeros(part.shape) for name, part in accepted.items()}
            parts.append(slopes({**zeros, **found}, accepted, self.truth.kinks[which], self.dtype, which))
            beside = self.answer.beside.get(reduction)
            if isinstance(beside, Returned) and not loose([self.truth.values[which]], self.dtype):
                value = self._number(beside, self.truth.values[which], f"value beside the gradient of {which}")
                if not value.ok:
                    parts.append(value)
        return self._verdict("gradient", parts, error)

    def result(self) -> Cell:
        """Type, dtype, shape and device of the result."""
        batch = self.case.batch
        for reduction, outcome in self.answer.values.items():
            if isinstance(outcome, Failure):
                return failed(self.run, "result", outcome)
            shape = (batch,) if reduction == "none" else ()
            for what, got, right in (
                ("type", outcome.native or outcome.dtype, True),
                ("dtype", outcome.dtype, self.dtype.name),
                ("shape", list(outcome.shape), list(shape)),
                ("device", outcome.device, self.run.device),
            ):
                if got != right:
                    expected_text = f"a {self.run.target.reference.framework} tensor" if what == "type" else right
                    detail = f"{reduction or 'mean'}: the result's {what} is {got}, expected {expected_text}"
                    return cell(self.run, "result", "fail", detail)
        return cell(self.run, "result", "pass")

    def unmodified(self) -> Cell:
        """No input was changed by any call."""
        if self.answer.modified:
            return cell(self.run, "unmodified", "fail", f"a call changed its input {', '.join(self.answer.modified)}")
        failure = self.answer.failure
        if failure is not None:
            return cell(self.run, "unmodified", "not-run", nothing_ran(failure))
        return cell(self.run, "unmodified", "pass")

    def _number(self, outcome: Returned, accepted: Any, label: str) -> Judgement:
        if outcome.array is None:
            return Judgement(False, None, float("inf"), note=f"{label}: got {outcome.dtype}, expected a tensor")
        return judge(outcome.array, accepted, self.dtype, label)

    def _verdict(self, check: str, parts: Sequence[Judgement], error: Failure | None) -> Cell:
        if error is not None and all(part.ok for part in parts):
            return failed(self.run, check, error)
        if not parts:
            return cell(self.run, check, "not-run", TOO_LOOSE)
        result = combine(parts)
        unworthy = NOT_OF_OUR_OWN.get(result.grade, "") if self.prepared.own else ""
        verdict: Verdict = "pass" if result.ok and not unworthy else "fail"
        detail, worst = unworthy or result.note, None
        declared = self.run.deviation
        if not result.ok and result.worst is not None and not result.note:
            detail, worst = explained(result), result.worst.record()
        elif result.ok and declared is not None and (declared.changes or self.prepared.counted != self.dtype):
            over = expired(declared.until)
            verdict = "fail" if over else "deviates"
            detail = f"the declared deviation expired on {declared.until}: {declared.why}" if over else declared.why
        ulp = result.error_ulp  # beyond the largest number where float64 terms cancel to a subnormal
        ulp = ulp if ulp is not None and math.isfinite(ulp) else None
        grades = (result.grade,) if result.grade else ()
        return cell(self.run, check, verdict, detail, ulp, result.budget_used, grades=grades, worst=worst)


def _conforms(found: Cell) -> bool:
    """Whether a cell passes by no lower standard."""
    return found.verdict == "pass" and not found.grade


def explained(result: Judgement) -> str:
    """The worst element of a judgement in one line: where, got, expected, how far off, and the bound."""
    worst = result.worst
    assert worst is not None
    return (
        f"{worst.label}{list(worst.index) if worst.index else ''}: got {worst.got!r} ({worst.got.hex()}), "
        f"expected {worst.expected!r} ({worst.expected.hex()}), off by {worst.ulp:.3g} ulp, bound {worst.bound:.3g}"
    )
