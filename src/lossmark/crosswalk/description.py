"""A function under a mapping, described: what conforms in each dtype, and the cases that prove it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..adapters.framework import Framework
from ..checks.judgement import Judgement
from ..dtypes import DTYPES
from ..errors import SpecError
from ..specification.loss import Loss
from .comparison import CaseVerdict, Comparison
from .expression import Expression
from .mapped import Mapped
from .rows import Agreement, ByDType, Counterproof, Relation
from .search import verdicts
from .transformations import IN_THE_DTYPE, Transformation, transformations

HEADLINE = ("float32", "float64", "bfloat16", "float16")
"""The dtypes of which the first that a function takes is that of its relation."""
VALUE, GRADIENTS = "value", "gradients"


class Description:
    """A call of a library, held to a loss in every dtype."""

    def __init__(self, loss: Loss, expression: Expression, adapter: Framework):
        self.loss, self.expression = loss, expression
        self._comparisons = {name: Comparison(loss, expression, adapter, DTYPES[name]) for name in DTYPES}

    def headline(self) -> Comparison:
        """The comparison in the first dtype of :data:`HEADLINE` in which a call gives a result."""
        return next(
            (self._comparisons[name] for name in HEADLINE if not self._refused(name)), self._comparisons[HEADLINE[0]]
        )

    def chosen(self, words: Sequence[str]) -> tuple[Transformation, ...]:
        """The transformations of these words; raises KeyError for words that no transformation has."""
        comparison = self._comparisons[HEADLINE[0]]
        known = {each.words: each for some in transformations(self.loss, comparison.taken).values() for each in some}
        return tuple(known[text] for text in words)

    def by_dtype(self, chosen: Sequence[Transformation]) -> dict[str, ByDType]:
        """What conforms in each dtype under the mapping."""
        return {name: self._described(name, chosen) for name in DTYPES}

    def needed(self, chosen: Sequence[Transformation]) -> Iterator[Counterproof]:
        """For each transformation a case on which the others do not conform: nothing simpler would do."""
        comparison = self.headline()
        for left_out in chosen:
            if left_out.labels:
                continue
            rest = [each for each in chosen if each is not left_out]
            try:
                mapped = comparison.mapped(*rest)
            except SpecError:
                continue
            found = verdicts(comparison, mapped, comparison.cases())
            wrong = [each for each in found if each.error or _judged(each) is not None]
            wrong.sort(key=lambda each: bool(each.error))
            if wrong:
                yield proof(wrong[0], without=left_out.words)

    def _refused(self, name: str) -> str:
        """Why no call in a dtype gives a result; empty where one does."""
        comparison = self._comparisons[name]
        forced = [some[0] for some in transformations(self.loss, comparison.taken).values() if some[0].labels]
        found = verdicts(comparison, comparison.mapped(*forced), comparison.cases())
        errors = [each.error for each in found if each.error]
        if found and len(errors) == len(found):
            return errors[0]
        return "" if found else "no case of the spec leaves its parameters at their defaults"

    def _described(self, name: str, chosen: Sequence[Transformation]) -> ByDType:
        comparison = self._comparisons[name]
        found = self._verdicts(name, chosen)
        if found and all(each.error for each in found):
            return ByDType(refused=found[0].error)
        values = _agreement(found, VALUE, bool(chosen))
        gradients = _agreement(found, GRADIENTS, bool(chosen))
        failing = sum(part.failing for part in (values, gradients) if part is not None)
        if failing and comparison.dtype.accumulator_p > comparison.dtype.p:
            found = self._verdicts(name, (*chosen, IN_THE_DTYPE))
            coarser = [_agreement(found, kind, True, also=IN_THE_DTYPE.words) for kind in (VALUE, GRADIENTS)]
            if sum(part.failing for part in coarser if part is not None) < failing:
                values, gradients = coarser
        return ByDType(values=values, gradients=gradients)

    def _verdicts(self, name: str, chosen: Sequence[Transformation]) -> list[CaseVerdict]:
        comparison = self._comparisons[name]
        return verdicts(comparison, comparison.mapped(*chosen), comparison.cases())


def _judgement(verdict: CaseVerdict, kind: str) -> Judgement | None:
    return verdict.value if kind == VALUE else verdict.gradients


def _judged(verdict: CaseVerdict) -> str | None:
    """What of a case does not conform, the value first; None where all does."""
    for kind in (VALUE, GRADIENTS):
        judgement = _judgement(verdict, kind)
        if judgement is not None and not judgement.ok:
            return kind
    return None


def _agreement(found: Sequence[CaseVerdict], kind: str, mapped: bool, also: str = "") -> Agreement | None:
    """What all cases come to, None where none has anything to judge."""
    judged = [each for each in found if _judgement(each, kind) is not None]
    if not judged:
        return None
    wrong = [each for each in judged if not getattr(_judgement(each, kind), "ok", True)]
    relation: Relation = "different" if wrong else "same after" if mapped or also else "same"
    shown = proof(wrong[0], kind) if wrong else None
    refused = sum(bool(each.error) for each in found)
    return Agreement(relation=relation, cases=len(judged), failing=len(wrong), refused=refused, also=also, proof=shown)


def proof(verdict: CaseVerdict, kind: str | None = None, without: str = "") -> Counterproof:
    """A case that does not conform, with the numbers at which it is furthest off."""
    judgement = _judgement(verdict, kind or _judged(verdict) or VALUE)
    worst = None if judgement is None else judgement.worst
    if judgement is None or worst is None or judgement.note:
        note = verdict.error if judgement is None else judgement.note
        return Counterproof(case=verdict.case, note=note, without=without)
    return Counterproof(
        case=verdict.case, got=f"{worst.got:.9g}", expected=f"{worst.expected:.9g}", ulp=f"{worst.ulp:.3g}",
        note="" if worst.label == VALUE else worst.label, without=without,
    )  # fmt: skip


def refuting(mapped: Mapped, comparison: Comparison, case_id: str) -> Counterproof | None:
    """What a mapping gives on a case that it does not conform on; None where it does."""
    verdict = next((each for each in verdicts(comparison, mapped, comparison.cases()) if each.case == case_id), None)
    return None if verdict is None or _judged(verdict) is None else proof(verdict)
