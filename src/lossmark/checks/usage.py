"""Checks of usage: bad input is refused; labels, layouts, defaults and empty batches are taken as the table says.

lossmark's own implementations raise exactly as the design's edge table says. For guests any exception refuses bad
input, and only what would silently give a wrong number fails; the rest is a *grade*, told in the cell.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..dtypes import DTYPES
from ..formula.tree import BATCH, Input, shape_of
from ..sandbox.messages import Answer, Failure, Outcome, Returned
from ..specification.case import Case
from .dialogue import Conclusion, Dialogue, reduced
from .judgement import combine
from .misuse import in_range, silently_wrong, whole_numbers

LABEL_DTYPES = ("bool", "uint8", "int8", "int32", "int64", "float16", "float32", "float64")
INDEX_DTYPES = ("uint8", "int8", "int16", "int32", "int64")


class Usage(Dialogue):
    """The checks of usage of one prepared run; each method is one check."""

    # -- refusals ----------------------------------------------------------------------------------------------------

    def refusal(self) -> Conclusion:
        """The case must be refused."""
        keywords = self.prepared.arrays | self.run.loss.called(self.case.params)
        calls = [reduced(keywords, reduction) for reduction in self.prepared.reductions]
        *outcomes, ordinary = self.call(*calls, self._ordinary())
        accepted = [(r, x) for r, x in zip(self.prepared.reductions, outcomes, strict=True) if isinstance(x, Returned)]
        if self.own and self.run.device != "cpu" and "LabelValue" in self.case.flags:
            return self._unread(outcomes)
        if self.own:
            return self._strict(outcomes)
        if not accepted:
            self.succeeded(ordinary)
            return Conclusion(True, f"refused: {outcomes[0]}")
        if self.run.loss.indices and "LabelValue" in self.case.flags:
            return self._out_of_range([outcome for _, outcome in accepted])
        if {"LabelValue", "BadParameter"} & set(self.case.flags):
            wrong = next(filter(None, (self._misjudged(reduction, outcome) for reduction, outcome in accepted)), "")
            if wrong:
                return Conclusion(False, f"accepted {dict(self.case.params)} and gave another loss: {wrong}")
            return Conclusion(True, grades=("bad values are accepted without a word",))
        return self._repaired(accepted)

    def _out_of_range(self, accepted: list[Returned]) -> Conclusion:
        """For an index that is none there is no number: what is finite is another loss."""
        for outcome in accepted:
            array = np.zeros(0) if outcome.array is None else outcome.array.astype(np.float64)
            bad = np.isfinite(array[~in_range(self.case, self.run.loss)] if array.ndim else array)
            if bad.any():
                return Conclusion(False, f"took an index that is out of range and gave {array.tolist()}")
        return Conclusion(True, grades=("an index out of range gives NaN",))

    def _strict(self, outcomes: list[Outcome]) -> Conclusion:
        names = [*self.case.inputs, *self.run.loss.model.params]
        for outcome in outcomes:
            if isinstance(outcome, Returned):
                return Conclusion(False, f"accepted without a word, expected {self.case.error}")
            if outcome.type != self.case.error:
                return Conclusion(False, f"raised {outcome}, expected {self.case.error}")
            if not any(name in outcome.message for name in names):
                return Conclusion(False, f"the message names no argument: {outcome}")
        return Conclusion(True, f"refused: {outcomes[0]}")

    def _unread(self, outcomes: list[Outcome]) -> Conclusion:
        """On an accelerator the values of labels are never looked at, because that would wait for it."""
        where = f"on a {self.run.device} the values of labels are not"
        raised = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if raised:
            return Conclusion(False, f"{where} to be looked at: {raised[0]}")
        return Conclusion(True, f"taken: {where} looked at")

    def _repaired(self, accepted: list[tuple[str | None, Returned]]) -> Conclusion:
        """A guest that takes other shapes must give exactly the loss of the inputs that they can only mean."""
        case = self._meant()
        if case is None:
            return Conclusion(False, f"accepted shapes that do not fit: {_shapes(self.case)}")
        result = combine([self.judge(outcome, case, reduction, reduction or "mean") for reduction, outcome in accepted])
        if not result.ok:
            return Conclusion(
                False, f"accepted {_shapes(self.case)} and gave another loss: {result.note or result.worst}"
            )
        if all(case.inputs[name].shape == self.case.inputs[name].shape for name in self.run.loss.gradient_of):
            answer = self.answer(replace(self.prepared.on(case).task, inputs=self.prepared.arrays))
            wrong, number = self.wrong_gradient(case, answer)
            if number:
                return Conclusion(False, f"accepted {_shapes(self.case)} and gave another gradient: {wrong}")
        return Conclusion(True, grades=("other shapes are accepted, with the right result",))

    def _misjudged(self, reduction: str | None, outcome: Returned) -> str:
        """What is wrong with a loss for a bad number as a parameter; other bad values have no right one."""
        numbers = [value for value in self.case.params.values() if not isinstance(value, str)]
        if not numbers or "BadParameter" not in self.case.flags:
            return ""
        return silently_wrong(self.prepared, outcome, reduction, (self.dtype,))

    def _meant(self) -> Case | None:
        """The case with labels flattened and sizes of 1 repeated; None where shapes do not fit at all."""
        inputs = self.run.loss.inputs
        batch = max(
            self.case.inputs[item.name].size if _is_flat(item) else len(self.case.inputs[item.name])
            for item in inputs
            if not item.shared
        )
        sizes = dict.fromkeys((axis for item in inputs for axis in item.dims), 1)
        for item in inputs:
            for axis, size in zip(item.dims, self.case.inputs[item.name].shape, strict=False):
                sizes[axis] = max(sizes[axis], size)
        sizes[BATCH] = batch
        arrays = {}
        for item in inputs:
            array = self.case.inputs[item.name]
            try:
                array = array.reshape(-1) if _is_flat(item) else array
                arrays[item.name] = np.broadcast_to(array, shape_of(item.dims, sizes)).copy()
            except ValueError:
                return None
        return replace(self.case, inputs=arrays, error=None, golden=None)

    def _ordinary(self) -> dict[str, Any]:
        """A call that nobody may refuse: to refuse anything else says something only where this one succeeds."""
        return reduced(self.prepared.on(self.run.loss.host).arrays, self.prepared.reductions[0])

    def arguments(self) -> Conclusion:
        """An unknown reduction, mixed and integer dtypes are refused; where a guest computes, the number is right."""
        keywords, reductions = self.prepared.arrays, self.prepared.reductions
        first = self.run.loss.gradient_of[0]
        other = DTYPES["float32" if self.dtype.name == "float64" else "float64"]
        calls = {"unknown reduction": {**keywords, "reduction": "median"}} if reductions[0] else {}
        if len(self.run.loss.gradient_of) > 1:
            calls["mixed dtypes"] = keywords | {first: keywords[first].astype(other.numpy)}
        whole = self.prepared.on(whole_numbers(self.case, self.run.loss))
        taken = {name: value for name, value in whole.case.params.items() if self.run.target.takes(self.run.loss, name)}
        whole = whole.on(replace(whole.case, params=taken))
        integers = {name: whole.arrays[name].astype(np.int32) for name in self.run.loss.gradient_of}
        labels = {f"integers under {reduction or 'mean'}": reduction for reduction in (reductions[0], reductions[-1])}
        calls |= {label: reduced({**whole.arrays, **integers, **taken}, labels[label]) for label in labels}
        *outcomes, ordinary = self.call(*calls.values(), self._ordinary())
        accepted = []
        for what, outcome in zip(calls, outcomes, strict=True):
            if isinstance(outcome, Failure):
                if self.own and (outcome.type not in ("TypeError", "ValueError") or not outcome.message):
                    return Conclusion(False, f"{what}: raised {outcome}, expected TypeError or ValueError")
                continue
            accepted.append(what)
            wrong = ""
            if what in labels:
                wrong = silently_wrong(whole, outcome, labels[what])
            elif what == "mixed dtypes":
                wrong = silently_wrong(self.prepared, outcome, None, (self.dtype, other))
            if wrong:
                return Conclusion(False, f"{what} are accepted and give another loss: {wrong}")
        if accepted and self.own:
            return Conclusion(False, f"accepted without a word: {', '.join(accepted)}")
        if accepted:
            return Conclusion(True, grades=(f"accepted without a word: {', '.join(accepted)}",))
        self.succeeded(ordinary)
        return Conclusion(True, "all refused")

    # -- what must be taken ------------------------------------------------------------------------------------------

    def labels(self) -> Conclusion:
        """Labels of any dtype give the same result and the same gradient, in the dtype of the embeddings.

        Indices come in every integer dtype that holds them, and what marks those that are ignored; other labels in
        every dtype that holds them.
        """
        task = self.prepared.task
        task = replace(task, reductions=task.reductions[:1], slopes=task.slopes[:1])
        names = [item.name for item in self.run.loss.inputs if item.label]
        grades, outcomes = [], []
        for dtype in self._label_dtypes():
            labels = {name: self.case.inputs[name].astype(dtype) for name in names}
            labels = {name: x for name, x in labels.items() if np.array_equal(x, self.case.inputs[name])}
            answer = self.answer(replace(task, inputs={**task.inputs, **labels}))
            (outcome,) = answer.values.values()
            outcomes.append(outcome)
            if isinstance(outcome, Failure) and not self.own:
                grades.append(f"{dtype} labels are refused")
                continue
            wrong, remark = self._labelled(dtype, answer)
            if wrong:
                return Conclusion(False, wrong)
            grades += [remark] * bool(remark)
        self.succeeded(*outcomes)
        return Conclusion(True, grades=tuple(grades))

    def _label_dtypes(self) -> list[str]:
        loss = self.run.loss
        if not loss.indices:
            labels = [self.case.inputs[item.name] for item in loss.inputs if item.label == "class"]
            return [dtype for dtype in LABEL_DTYPES if all(np.array_equal(x.astype(dtype), x) for x in labels)]
        params = loss.called(loss.params(self.case.params))
        held = [params[name] for name in loss.integers]
        held += [x for name in loss.indices for x in (self.case.inputs[name].min(), self.case.inputs[name].max())]
        return [dtype for dtype in INDEX_DTYPES if all(np.iinfo(dtype).min <= x <= np.iinfo(dtype).max for x in held)]

    def _labelled(self, dtype: str, answer: Answer) -> tuple[str, str]:
        """What is wrong with an answer for labels of a dtype, and what may be remarked."""
        ((reduction, outcome),) = answer.values.items()
        found = self.judge(outcome, self.case, reduction, f"{dtype} labels")
        if not found.ok:
            return found.note or f"{dtype} labels: {found.worst}", ""
        wrong, number = self.wrong_gradient(self.case, answer)
        if wrong:
            told = f"{dtype} labels: {wrong}"
            return (told, "") if number or self.own else ("", told)
        if isinstance(outcome, Returned) and outcome.dtype != self.dtype.name:
            told = f"{dtype} labels make the result {outcome.dtype}"
            return (told, "") if self.own else ("", told)
        return "", ""

    def defaults(self) -> Conclusion:
        """Left-out arguments mean what the spec says, in the value and in the gradient."""
        task = self.prepared.task
        answer = self.answer(replace(task, params={}, reductions=(None,), slopes=(None,) if task.slopes else ()))
        found = self.judge(answer.values[None], self.case, None, "all arguments left out")
        wrong = "" if found.ok else found.note or str(found.worst)
        return Conclusion(not wrong, wrong) if wrong else self._without_arguments(answer)

    def _without_arguments(self, answer: Answer) -> Conclusion:
        wrong, number = self.wrong_gradient(self.case, answer)
        if wrong and (number or self.own):
            return Conclusion(False, f"all arguments left out: {wrong}")
        return Conclusion(True, grades=(f"all arguments left out: {wrong}",) if wrong else ())

    def empty(self) -> Conclusion:
        """An empty batch: none is empty, sum is 0, mean is refused (or a guest's NaN); gradients are empty."""
        task = self.prepared.task
        inputs = {name: x[:0] if self.case.by_example(name) else x for name, x in task.inputs.items()}
        kept = tuple(reduction for reduction in task.reductions if reduction not in (None, "mean"))
        outcomes: dict[str | None, Outcome] = {}
        grades = []
        if kept:
            slopes = tuple(reduction for reduction in task.slopes if reduction in kept)
            task = replace(task, inputs=inputs, cotangent=task.cotangent[:0], reductions=kept, slopes=slopes)
            answer = self.answer(task)
            outcomes |= answer.values
            wrong, remark = self._empty_gradients(answer)
            if wrong:
                return Conclusion(False, wrong)
            grades += [remark] * bool(remark)
        last = self.prepared.reductions[-1]
        outcomes[last], ordinary = self.call(reduced(inputs, last), self._ordinary())
        for reduction, outcome in outcomes.items():
            wrong = self._wrong_empty(reduction, outcome)
            if wrong and (self.own or isinstance(outcome, Returned)):
                return Conclusion(False, f"{reduction or 'mean'} of an empty batch: {wrong}")
            if wrong:
                grades.append(f"{reduction} of an empty batch is refused")
        self.succeeded(ordinary, *outcomes.values())
        return Conclusion(True, grades=tuple(grades))

    def _empty_gradients(self, answer: Answer) -> tuple[str, str]:
        """What is wrong with the gradients of an empty batch, which have its shape, and what may be remarked."""
        for reduction, found in answer.gradients.items():
            if isinstance(answer.values[reduction], Failure):
                continue
            if isinstance(found, Failure):
                told = f"{reduction} of an empty batch cannot be differentiated: {found}"
                return (told, "") if self.own else ("", told)
            for name, array in found.items():
                whole = self.case.inputs[name].shape
                shape = (0, *whole[1:]) if self.case.by_example(name) else whole
                if array.shape != shape:
                    return f"{reduction} of an empty batch: gradient by {name} of shape {list(array.shape)}", ""
        return "", ""

    def _wrong_empty(self, reduction: str | None, outcome: Outcome) -> str:
        if reduction in (None, "mean"):
            if isinstance(outcome, Failure):
                return "" if outcome.type == "ValueError" or not self.own else f"raised {outcome}, expected ValueError"
            right = (
                not self.own and outcome.array is not None and bool(np.all(np.isnan(outcome.array.astype(np.float64))))
            )
            return "" if right else "accepted, expected ValueError"
        if isinstance(outcome, Failure):
            return str(outcome)
        expected = (0,) if reduction == "none" else ()
        if outcome.shape != expected:
            return f"shape {list(outcome.shape)}, expected {list(expected)}"
        zero = outcome.array is not None and bool(np.all(outcome.array.astype(np.float64) == 0))
        return "" if zero else f"{outcome.array}, expected 0"


def _is_flat(item: Input) -> bool:
    """Whether it is a label with one number of each example."""
    return bool(item.label) and item.dims == (BATCH,)


def _shapes(case: Case) -> str:
    return ", ".join(f"{name} {list(array.shape)}" for name, array in case.inputs.items())
