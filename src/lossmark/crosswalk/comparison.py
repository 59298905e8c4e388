"""One function held to one spec in one dtype, under any transformations: each case judged as the suite judges it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..adapters.framework import Framework
from ..checks.judgement import Judgement, judge, loose, slopes
from ..dtypes import DType
from ..specification.case import Case
from ..specification.loss import Loss
from .expression import Expression
from .mapped import Mapped, MappedCall

AnswerNumbers = NDArray[Any]
NEARNESS = 2.0**-6
"""So far off, relatively, numbers may be that are worth a judgement by the bound."""


@dataclass(frozen=True)
class Called:
    """What a call gave: the value, and the gradients by name of argument (None: there are none); or an exception."""

    value: AnswerNumbers | None = None
    gradients: Mapping[str, AnswerNumbers] | None = None
    error: str = ""


@dataclass(frozen=True)
class CaseVerdict:
    """A case: the judgement of the value and that of the gradients, None where there is nothing to judge.

    ``error`` is the exception that a case is refused with, empty where a NaN label is: that conforms.
    """

    case: str
    value: Judgement | None
    gradients: Judgement | None
    error: str = ""


class Comparison:
    """A call of a library held to a loss in a dtype. Every different call is made once."""

    def __init__(self, loss: Loss, expression: Expression, adapter: Framework, dtype: DType):
        self.loss, self.dtype, self._adapter, self._expression = loss, dtype, adapter, expression
        self.taken = expression.names & ({item.name for item in loss.inputs} | set(loss.model.params))
        self._answers: dict[tuple[Any, ...], Called] = {}
        self._verdicts: dict[tuple[Mapped, str], CaseVerdict | None] = {}

    def mapped(self, *chosen: Any) -> Mapped:
        """The loss under transformations; raises :class:`SpecError` where they do not go together."""
        return Mapped(self.loss, self.taken, chosen)

    def reason(self) -> str:
        """The first exception of a call; empty where none raised any."""
        return next((answer.error for answer in self._answers.values() if answer.error), "")

    def cases(self) -> list[Case]:
        """The golden cases that must not be refused, ordinary ones first, those of few numbers after others."""
        found = self.loss.golden(self.dtype.name)
        order = {"generic": 0, "exact-dyadic": 1}
        return sorted(found, key=lambda case: order.get(case.case_class, 2))

    def near(self, mapped: Mapped, given: Case) -> bool | None:
        """Whether a value is anywhere near what conforms: what is not needs no judgement by the bound.

        None where there is no value, because the call cannot be made or is refused.
        """
        found = self._meant(mapped, given)
        if found is None or found[1].value is None:
            return None
        case, answer = found
        assert answer.value is not None
        reduction = self._reduction(answer.value, mapped)
        exact, bound = mapped.roughly(case, self.dtype, reduction)
        if mapped.formed and _no_number(exact, case):
            return True
        if exact.shape != answer.value.shape:
            return False
        finite = np.isfinite(exact)
        off = np.where(finite, np.abs(answer.value.astype(np.float64) - exact), 0.0)
        size = np.where(finite, np.abs(exact), 0.0)
        return bool(np.all(off <= np.maximum(NEARNESS * (size + np.max(size, initial=0.0)), bound)))

    def answers(self, mapped: Mapped, given: Case) -> bool:
        """Whether the call can be made for a case and gives a value."""
        found = self._meant(mapped, given)
        return found is not None and found[1].value is not None

    def verdict(self, mapped: Mapped, given: Case) -> CaseVerdict | None:
        """What is found of a case of the spec; None where the call cannot be made for it, or nothing is right."""
        key = mapped, given.id
        if key not in self._verdicts:
            self._verdicts[key] = self._verdict(mapped, given)
        return self._verdicts[key]

    def _verdict(self, mapped: Mapped, given: Case) -> CaseVerdict | None:
        found = self._meant(mapped, given)
        if found is None:
            return None
        case, answer = found
        if answer.value is None:
            labels = [case.inputs[item.name] for item in self.loss.inputs if item.label]
            conforms = any(np.isnan(label).any() for label in labels)
            return CaseVerdict(case.id, None, None, "" if conforms else answer.error)
        reduction = self._reduction(answer.value, mapped)
        truth = mapped.truth(case, self.dtype, reduction)
        if mapped.formed and _no_number(truth.values[reduction].exact, case):
            return None
        accepted, moved = truth.values[reduction], truth.gradients[reduction]
        value = gradients = None
        if not loose([accepted], self.dtype):
            value = judge(answer.value, accepted, self.dtype, "value")
        if answer.gradients is not None and not loose(list(moved.values()), self.dtype):
            zeros = {name: np.zeros(part.shape) for name, part in moved.items()}
            got = {mapped.origin(name): x for name, x in answer.gradients.items()}
            gradients = slopes({**zeros, **got}, moved, truth.kinks[reduction], self.dtype, "gradient")
        return CaseVerdict(case.id, value, gradients)

    def _meant(self, mapped: Mapped, given: Case) -> tuple[Case, Called] | None:
        case = mapped.case(given, self.dtype)
        call = None if case is None else mapped.call(case, self.dtype)
        return None if case is None or call is None else (case, self._answer(call, case))

    @staticmethod
    def _reduction(value: AnswerNumbers, mapped: Mapped) -> str:
        return "none" if value.ndim else mapped.reduction

    def _answer(self, call: MappedCall, case: Case) -> Called:
        key = (
            repr(sorted(call.params.items())),
            *((name, array.dtype.name, array.shape, array.tobytes()) for name, array in sorted(call.arrays.items())),
        )
        if key not in self._answers:
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    self._answers[key] = self._made(call, case)
            except Exception as error:  # whatever a library raises
                self._answers[key] = Called(error=" ".join(f"{type(error).__name__}: {error}".split())[:160])
        return self._answers[key]

    def _made(self, call: MappedCall, case: Case) -> Called:
        """The call, made; what a library gives for each entry of an example is added up."""
        tensors = {name: self._adapter.from_numpy(array) for name, array in call.arrays.items()}

        def run(inputs: Mapping[str, Any], params: Mapping[str, Any], reduction: str | None) -> Any:
            absent = dict.fromkeys(case.absent & self.taken)
            return self._expression({**absent, **params, **inputs})

        wrt = [name for name in self.loss.gradient_of if name in self.taken]
        if self._adapter.autodiff:
            program = self._adapter.program(run, (None,), (None,), wrt, "eager")
            found = program(tensors, self._adapter.from_numpy(np.ones(case.batch, self.dtype.numpy)), call.params)[None]
            value = self._adapter.to_numpy(found.value)
            gradients = {name: self._adapter.to_numpy(x) for name, x in (found.gradient or {}).items()}
        else:
            value, gradients = np.asarray(run(tensors, call.params, None)), None
        if value.ndim > 1:
            value = value.astype(np.float64).reshape(len(value), -1).sum(axis=1)
        return Called(value, gradients)


def _no_number(exact: AnswerNumbers, case: Case) -> bool:
    """Whether the inverse of a form says nothing of a case: 0·∞, where what it takes is rounded to 0 or 1."""
    return bool(np.isnan(exact).any() and not any(np.isnan(array).any() for array in case.inputs.values()))
