"""Checks that calls agree with each other: the same call again, the batch in another order, the gradient by one input
only, one tensor passed as two arguments, other memory layouts, and nothing left changed behind.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ..adapters.installed import framework
from ..dtypes import DType
from ..results.cell import Cell, Verdict
from ..specification.loss import Case
from ..tolerance.acceptance import Expected
from ..tolerance.expected import expected
from ..tolerance.transformed import aliased
from ..work import Answer, Array, Failure, Message, Reply, Returned, Task, Watch, Watched
from .curvature import ALONG, curved, directed, without
from .judgement import loose, slopes
from .ordinary import TOO_LOOSE, Judged, explained
from .random_search import search
from .run import Run
from .usage import Found, Truth

FACTOR = -2.0
"""A multiple of the loss whose gradient is asked for; a power of two rounds nothing."""


class Unjudged(Exception):  # noqa: N818 (an outcome, not an error)
    """The check cannot be made: its verdict, and why."""

    def __init__(self, verdict: Verdict, reason: str):
        super().__init__(reason)
        self.verdict, self.reason = verdict, reason


class Consistency:
    """The checks of one run; ``ask`` has a message answered, ``task`` is what a case asks of the implementation."""

    def __init__(
        self,
        run: Run,
        case: Case,
        dtype: DType,
        ask: Callable[[Message], Reply],
        truth: Truth,
        task: Callable[[Case], Task],
    ):
        self.run, self.case, self.dtype, self.ask, self.truth, self.task = run, case, dtype, ask, truth, task

    def _answer(self, task: Task) -> Answer:
        answer = self.ask(task)
        assert isinstance(answer, Answer)
        return answer

    def _wrong(self, case: Case, answer: Answer, truth: Expected) -> str:
        """What is wrong with the values and gradients of an answer; empty if nothing is."""
        judged = Judged(self.run, case, self.dtype, answer, truth)
        cells: list[Cell] = [judged.value()] + ([judged.gradient()] if answer.gradients else [])
        return next((cell.detail for cell in cells if cell.verdict in ("fail", "error")), "")

    def _meant(self, case: Case) -> Case:
        return case if self.run.deviation is None else self.run.deviation.meant(case)

    def deterministic(self) -> Found:
        """The same call gives the same bits."""
        task = self.task(self.case)
        first, again = (dict(_arrays(self._answer(task))) for _ in range(2))
        for label, array in first.items():
            if label not in again or again[label].tobytes() != array.tobytes():
                return False, f"the same call gave another {label} the second time"
        return True, ""

    def permuted(self) -> Found:
        """The batch in another order has the same losses, in that order; the very same bits are a grade."""
        arrays = {name: array[::-1].copy() for name, array in self.case.inputs.items()}
        case = replace(self.case, id=f"{self.case.id} in reverse", inputs=arrays, golden=None)
        answer = self._answer(self.task(case))
        wrong = self._wrong(case, answer, self.truth(case))
        if wrong:
            return False, f"the batch in reverse: {wrong}"
        here, there = (x.values.get("none") for x in (self._answer(self.task(self.case)), answer))
        if not isinstance(here, Returned) or not isinstance(there, Returned) or here.array is None:
            return True, ""
        same = there.array is not None and here.array[::-1].tobytes() == there.array.tobytes()
        return True, "grade: bit for bit in any order" if same else "grade: bits depend on the place in the batch"

    def partial(self) -> Found:
        """The gradient by one input only is that input's part of the whole."""
        task = self.task(self.case)
        truth = self.truth(self.case)
        for name in self.run.loss.gradient_of:
            one = replace(task, wrt=(name,), reductions=task.reductions[:1], slopes=task.slopes[:1])
            only = {reduction: {name: parts[name]} for reduction, parts in truth.gradients.items()}
            wrong = self._wrong(self.case, self._answer(one), replace(truth, gradients=only))
            if wrong:
                return False, f"the gradient by {name} only: {wrong}"
        return True, ""

    def aliased(self) -> Found:
        """One tensor passed as two arguments; its gradient is the sum of theirs."""
        for kept, dropped in itertools.combinations(self.run.loss.gradient_of, 2):
            inputs = {**self.case.inputs, dropped: self.case.inputs[kept]}
            case = replace(self.case, id=f"{self.case.id} with {dropped} = {kept}", inputs=inputs, golden=None)
            whole = self.task(case)
            task = replace(
                whole,
                inputs={name: array for name, array in whole.inputs.items() if name != dropped},
                wrt=tuple(name for name in whole.wrt if name != dropped),
                reductions=whole.reductions[:1],
                slopes=whole.slopes[:1] if self.run.target.autodiff else (),
                aliases={dropped: kept},
            )
            wrong = self._wrong(case, self._answer(task), aliased(self.truth(case), kept, dropped, self.dtype))
            if wrong:
                return False, f"one tensor for {kept} and {dropped}: {wrong}"
        return True, ""

    def cotangent(self) -> Found:
        """The gradient of a multiple of the loss is that multiple, under every reduction."""
        task = self.task(self.case)
        weights = task.cotangent.astype(np.float64)
        truth = expected(self.run.loss, self._meant(self.case), self.dtype, weights, scale=FACTOR * self.run.scale)
        wrong = self._wrong(self.case, self._answer(replace(task, factor=FACTOR)), truth)
        return not wrong, f"the loss times {FACTOR:g}: {wrong}" if wrong else ""

    def curvature(self) -> Found:
        """The second derivative along a direction, off the kinks; to say that there is none conforms.

        lossmark's own implementations must have it or say so; of a guest it is a grade, because few ever ask for it.
        """
        task, loss = self.task(self.case), self.run.loss
        reduction = task.reductions[-1]
        which = reduction or "mean"
        kink = self.truth(self.case).kinks["none"]
        smooth = self.case if kink is None else without(self.case, kink.rows)
        case = directed(smooth, loss)
        directions = {name: case.inputs[ALONG + name].astype(self.dtype.numpy) for name in loss.gradient_of}
        answer = self._answer(replace(self.task(smooth), reductions=(reduction,), directions=directions))
        found = answer.gradients[reduction]
        if isinstance(found, Failure):
            return True, f"grade: it cannot be differentiated twice, and says so: {found}"
        truth = expected(curved(loss), self._meant(case), self.dtype, np.ones(case.batch), (which,), self.run.scale)
        accepted = truth.gradients[which]
        if loose(list(accepted.values()), self.dtype):
            raise Unjudged("not-run", TOO_LOOSE)
        zeros = {name: np.zeros(part.shape) for name, part in accepted.items()}
        result = slopes({**zeros, **found}, accepted, None, self.dtype, f"second derivative of {which}")
        if result.ok:
            return True, ""
        detail = result.note or explained(result)
        own = self.run.target.reference.own
        return not own, detail if own else f"grade: wrong without a word when differentiated twice: {detail}"

    def layout(self) -> Found:
        """Other memory layouts of the same numbers give the same result."""
        alike = {name: np.repeat(array[:1], len(array), axis=0) for name, array in self.case.inputs.items()}
        name = self.run.target.reference.framework
        layouts = framework(name).layouts
        if not layouts:
            raise Unjudged("unsupported", f"{name} tensors show no memory layout")
        for case in (self.case, replace(self.case, id=f"{self.case.id} alike", inputs=alike, golden=None)):
            task = self.task(case)
            task = replace(task, reductions=task.reductions[:1], slopes=task.slopes[:1])
            for layout in layouts:
                answer = self._answer(replace(task, layout=layout))
                wrong = self._wrong(case, answer, self.truth(case))
                if wrong or answer.modified:
                    return False, f"{layout}: {wrong or 'the input is modified'}"
        return True, ", ".join(layouts)

    def properties(self) -> Found:
        """Random batches, and what the laws of the spec make of them, conform; a failure is made simple and kept.

        Under none, sum and mean: what conforms under each agrees with the others, and the sum adds up.
        """

        def wrong(case: Case) -> str:
            task = self.task(case)
            return self._wrong(case, self._answer(replace(task, slopes=task.slopes[:1])), self.truth(case))

        found = search(self.run, self.case, self.dtype, wrong)
        if found is None:
            return True, ""
        return False, f"{found.detail} | lossmark promote {found.write()} makes it a case of the spec"

    def state(self) -> Found:
        """Calls leave settings, random numbers, warnings and functions as they were; loading should."""
        task = self.task(self.case)
        reduction = {} if task.reductions[0] is None else {"reduction": task.reductions[0]}
        keywords = {**task.inputs, **task.params, **reduction}
        watched = self.ask(Watch(task.impl, task.loss, keywords, task.device))
        assert isinstance(watched, Watched)
        if watched.by_calling:
            return False, f"a call leaves changed: {'; '.join(watched.by_calling)}"
        return True, f"grade: loading it changes {'; '.join(watched.by_loading)}" if watched.by_loading else ""


def _arrays(answer: Answer) -> Iterator[tuple[str, Array]]:
    """Every array of an answer, by what it is."""
    for reduction, outcome in answer.values.items():
        if isinstance(outcome, Returned) and outcome.array is not None:
            yield f"value under {reduction or 'mean'}", outcome.array
    for reduction, found in answer.gradients.items():
        if not isinstance(found, Failure):
            for name, array in found.items():
                yield f"gradient of {reduction or 'mean'} by {name}", array
