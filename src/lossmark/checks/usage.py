"""Checks of usage: bad input is refused; labels, layouts, defaults and empty batches are taken as the table says.

lossmark's own implementations raise exactly as the design's edge table says. For guests any exception refuses bad
input, and only what would silently give a wrong number fails; the rest is a *grade*, told in the cell's detail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..dtypes import DType
from ..specification.case import Case
from ..tolerance.acceptance import Expected
from ..work import Failure, Message, Outcome, Probe, Probed, Reply, Returned
from .judgement import Judgement, combine, judge
from .run import Run

Ask = Callable[[Message], Reply]
Truth = Callable[[Case], Expected]
Found = tuple[bool, str]
LABEL_DTYPES = ("bool", "uint8", "int8", "int32", "int64", "float16", "float32", "float64")


class Usage:
    """The usage checks of one run; ``ask`` has calls made, ``truth`` gives what a case expects."""

    def __init__(self, run: Run, case: Case, dtype: DType, ask: Ask, truth: Truth):
        self.run, self.case, self.dtype, self.ask, self.truth = run, case, dtype, ask, truth
        self.own = run.target.reference.own
        self.reductions = ("none", "sum", "mean") if run.target.takes(run.loss, "reduction") else (None,)

    def _arrays(self, case: Case) -> dict[str, Any]:
        return {name: array.astype(self.dtype.numpy) for name, array in case.inputs.items()}

    def _call(self, *calls: Mapping[str, Any]) -> list[Outcome]:
        found = self.ask(Probe(self.run.target.name, self.run.loss.id, calls, self.run.device))
        assert isinstance(found, Probed)
        return list(found.outcomes)

    def _with(self, keywords: Mapping[str, Any], reduction: str | None) -> dict[str, Any]:
        return {**keywords, **({} if reduction is None else {"reduction": reduction})}

    def _judge(self, outcome: Outcome, case: Case, reduction: str | None, label: str) -> Judgement:
        if isinstance(outcome, Failure) or outcome.array is None:
            return Judgement(False, note=f"{label}: {outcome if isinstance(outcome, Failure) else outcome.dtype}")
        return judge(outcome.array, self.truth(case).values[reduction or "mean"], self.dtype, label)

    # -- refusals ----------------------------------------------------------------------------------------------------

    def refusal(self) -> Found:
        """The case must be refused."""
        keywords = self._arrays(self.case) | dict(self.case.params)
        calls = [self._with(keywords, reduction) for reduction in self.reductions]
        outcomes = self._call(*calls)
        accepted = [(r, x) for r, x in zip(self.reductions, outcomes, strict=True) if isinstance(x, Returned)]
        if self.own:
            return self._strict(outcomes)
        if not accepted:
            return True, f"refused: {outcomes[0]}"
        if {"LabelValue", "BadParameter"} & set(self.case.flags):
            return True, "grade: bad values are accepted without a word"
        return self._repaired(accepted)

    def _strict(self, outcomes: list[Outcome]) -> Found:
        names = [*self.case.inputs, *self.run.loss.model.params]
        for outcome in outcomes:
            if isinstance(outcome, Returned):
                return False, f"accepted without a word, expected {self.case.error}"
            if outcome.type != self.case.error:
                return False, f"raised {outcome}, expected {self.case.error}"
            if not any(name in outcome.message for name in names):
                return False, f"the message names no argument: {outcome}"
        return True, f"refused: {outcomes[0]}"

    def _repaired(self, accepted: list[tuple[str | None, Returned]]) -> Found:
        """A guest that takes other shapes must give exactly the loss of the inputs that they can only mean."""
        case = self._meant()
        if case is None:
            return False, f"accepted shapes that do not fit: {_shapes(self.case)}"
        result = combine(
            [self._judge(outcome, case, reduction, reduction or "mean") for reduction, outcome in accepted]
        )
        if result.ok:
            return True, "grade: other shapes are accepted, with the right result"
        return False, f"accepted {_shapes(self.case)} and gave another loss: {result.note or result.worst}"

    def _meant(self) -> Case | None:
        """The case with labels flattened and sizes of 1 repeated; None where shapes do not fit at all."""
        inputs = self.run.loss.inputs
        batch = max(
            self.case.inputs[item.name].size if item.label else len(self.case.inputs[item.name]) for item in inputs
        )
        width = max((self.case.inputs[item.name].shape[-1] for item in inputs if item.vector), default=1)
        arrays = {}
        for item in inputs:
            array = self.case.inputs[item.name]
            try:
                array = array.reshape(-1) if item.label else array
                arrays[item.name] = np.broadcast_to(array, (batch, width) if item.vector else (batch,)).copy()
            except ValueError:
                return None
        return replace(self.case, inputs=arrays, error=None, golden=None)

    def arguments(self) -> Found:
        """An unknown reduction, mixed and integer dtypes are refused."""
        keywords = self._arrays(self.case)
        first = self.run.loss.gradient_of[0]
        other = "float32" if self.dtype.name == "float64" else "float64"
        calls = {"unknown reduction": {**keywords, "reduction": "median"}} if self.reductions[0] else {}
        if len(self.run.loss.gradient_of) > 1:
            calls["mixed dtypes"] = keywords | {first: keywords[first].astype(other)}
        calls["integers"] = keywords | {
            name: np.ones(keywords[name].shape, np.int32) for name in self.run.loss.gradient_of
        }
        accepted = []
        for what, outcome in zip(calls, self._call(*calls.values()), strict=True):
            if isinstance(outcome, Returned):
                accepted.append(what)
            elif self.own and (outcome.type not in ("TypeError", "ValueError") or not outcome.message):
                return False, f"{what}: raised {outcome}, expected TypeError or ValueError"
        if accepted and self.own:
            return False, f"accepted without a word: {', '.join(accepted)}"
        return True, f"grade: accepted without a word: {', '.join(accepted)}" if accepted else "all refused"

    # -- what must be taken ------------------------------------------------------------------------------------------

    def labels(self) -> Found:
        """Labels of any dtype give the same result, in the dtype of the embeddings."""
        keywords = self._arrays(self.case)
        names = [item.name for item in self.run.loss.inputs if item.label]
        reduction = self.reductions[0]
        calls = [
            self._with(keywords | {name: self.case.inputs[name].astype(dtype) for name in names}, reduction)
            for dtype in LABEL_DTYPES
        ]
        notes = []
        for dtype, outcome in zip(LABEL_DTYPES, self._call(*calls), strict=True):
            if isinstance(outcome, Failure) and not self.own:
                notes.append(f"grade: {dtype} labels are refused")
                continue
            found = self._judge(outcome, self.case, reduction, f"{dtype} labels")
            if not found.ok:
                return False, found.note or f"{dtype} labels: {found.worst}"
            if isinstance(outcome, Returned) and outcome.dtype != self.dtype.name:
                if self.own:
                    return False, f"{dtype} labels make the result {outcome.dtype}"
                notes.append(f"grade: {dtype} labels make the result {outcome.dtype}")
        return True, "; ".join(notes)

    def defaults(self) -> Found:
        """Left-out arguments mean what the spec says."""
        (outcome,) = self._call(self._arrays(self.case))
        found = self._judge(outcome, self.case, None, "all arguments left out")
        return found.ok, "" if found.ok else found.note or str(found.worst)

    def empty(self) -> Found:
        """An empty batch: none is empty, sum is 0, mean is refused (or a guest's NaN)."""
        keywords = {name: array[:0] for name, array in self._arrays(self.case).items()}
        calls = [self._with(keywords, reduction) for reduction in self.reductions]
        notes = []
        for reduction, outcome in zip(self.reductions, self._call(*calls), strict=True):
            wrong = self._wrong_empty(reduction, outcome)
            if wrong and (self.own or isinstance(outcome, Returned)):
                return False, f"{reduction or 'mean'} of an empty batch: {wrong}"
            if wrong:
                notes.append(f"grade: {reduction} of an empty batch is refused")
        return True, "; ".join(notes)

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


def _shapes(case: Case) -> str:
    return ", ".join(f"{name} {list(array.shape)}" for name, array in case.inputs.items())
