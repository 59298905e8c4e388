"""Checks that calls agree with each other: the same call again, the batch in another order, the gradient by one input
only, one tensor passed as two arguments, other memory layouts, and nothing left changed behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..adapters.installed import framework
from ..sandbox.messages import USES, Answer, Array, Failure, Returned, Watch, Watched
from ..specification.case import Case
from ..tolerance.acceptance import Expected
from ..tolerance.expected import expected
from ..tolerance.transformed import aliased
from .catalogue import alike
from .curvature import ALONG, curved, directed, without
from .dialogue import Conclusion, Dialogue, Unjudged, reduced
from .judgement import loose, slopes
from .ordinary import TOO_LOOSE, explained, nothing_ran
from .prepared import Prepared
from .random_search import search

FACTOR = -2.0
"""A multiple of the loss whose gradient is asked for; a power of two rounds nothing."""


class Consistency(Dialogue):
    """The checks of consistency of one prepared run; each method is one check."""

    def deterministic(self) -> Conclusion:
        """The same call gives the same bits."""
        task = self.prepared.task
        answers = [self.answer(task) for _ in range(2)]
        first, again = (dict(_arrays(answer)) for answer in answers)
        if not first:
            raise Unjudged("not-run", nothing_ran(answers[0].failure) if answers[0].failure else "no call gave numbers")
        for label, array in first.items():
            if label not in again or again[label].tobytes() != array.tobytes():
                return Conclusion(False, f"the same call gave another {label} the second time")
        return Conclusion(True)

    def permuted(self) -> Conclusion:
        """The batch in another order has the same losses, in that order; the very same bits are a grade.

        So have the classes in another order, where the loss has classes.
        """
        case = self._reversed
        answer = self.answer(self.prepared.on(case).task)
        wrong = self.wrong(case, answer, self.truth(self.prepared.on(case)))
        if wrong:
            return Conclusion(False, f"the batch in reverse: {wrong}")
        turned = self._classes_reversed
        if turned is not None:
            wrong = self.wrong(turned, self.answer(self.prepared.on(turned).task), self.truth(self.prepared.on(turned)))
            if wrong:
                return Conclusion(False, f"the classes in reverse: {wrong}")
        here, there = (x.values.get("none") for x in (self.answer(self.prepared.task), answer))
        if not isinstance(here, Returned) or not isinstance(there, Returned) or here.array is None:
            return Conclusion(True)
        same = there.array is not None and here.array[::-1].tobytes() == there.array.tobytes()
        return Conclusion(
            True, grades=("bit for bit in any order" if same else "bits depend on the place in the batch",)
        )

    @property
    def _reversed(self) -> Case:
        """The case with its examples in the other order."""
        inputs = self.case.with_rows(lambda x: x[::-1].copy())
        return replace(self.case, id=f"{self.case.id} in reverse", inputs=inputs, golden=None)

    @property
    def _classes_reversed(self) -> Case | None:
        """The case with its classes in the other order; None without classes, or where one of them marks a row."""
        loss, case = self.run.loss, self.case
        axis = loss.classes
        if not axis or axis not in case.sizes:
            return None
        inputs = dict(case.inputs)
        for item in loss.inputs:
            array = case.inputs[item.name]
            if axis in item.dims:
                inputs[item.name] = np.flip(array, item.dims.index(axis)).copy()
            elif item.index == axis:
                mark = loss.mark(item, case.params)
                if 0 <= mark < case.sizes[axis]:
                    return None
                inputs[item.name] = np.where(array == mark, array, case.sizes[axis] - 1 - array)
        return replace(case, id=f"{case.id} with its classes in reverse", inputs=inputs, golden=None)

    def _multiple(self, prepared: Prepared, cotangent: Array | None = None) -> Expected:
        """What :data:`FACTOR` times the loss of a case expects, weighed as its task says or by another cotangent."""
        weights = (prepared.task.cotangent if cotangent is None else cotangent).astype(np.float64)
        return expected(prepared.held_to, prepared.meant, prepared.counted, weights, scale=FACTOR * self.run.scale)

    def partial(self) -> Conclusion:
        """The gradient by one input only is that input's part of the whole."""
        task = self.prepared.task
        truth = self.truth(self.prepared)
        for name in self.run.loss.gradient_of:
            one = replace(task, wrt=(name,), reductions=task.reductions[:1], slopes=task.slopes[:1])
            only = {reduction: {name: parts[name]} for reduction, parts in truth.gradients.items()}
            wrong = self.wrong(self.case, self.answer(one), replace(truth, gradients=only))
            if wrong:
                return Conclusion(False, f"the gradient by {name} only: {wrong}")
        return Conclusion(True)

    def aliased(self) -> Conclusion:
        """One tensor passed as two arguments; its gradient is the sum of theirs."""
        for kept, dropped in alike(self.run.loss):
            inputs = {**self.case.inputs, dropped: self.case.inputs[kept]}
            case = replace(self.case, id=f"{self.case.id} with {dropped} = {kept}", inputs=inputs, golden=None)
            whole = self.prepared.on(case).task
            task = replace(
                whole,
                inputs={name: array for name, array in whole.inputs.items() if name != dropped},
                wrt=tuple(name for name in whole.wrt if name != dropped),
                reductions=whole.reductions[:1],
                slopes=whole.slopes[:1] if self.run.target.autodiff else (),
                aliases={dropped: kept},
            )
            wrong = self.wrong(
                case, self.answer(task), aliased(self.truth(self.prepared.on(case)), kept, dropped, self.dtype)
            )
            if wrong:
                return Conclusion(False, f"one tensor for {kept} and {dropped}: {wrong}")
        return Conclusion(True)

    def cotangent(self) -> Conclusion:
        """The gradient of a multiple of the loss is that multiple, under every reduction."""
        wrong = self.wrong(
            self.case, self.answer(replace(self.prepared.task, factor=FACTOR)), self._multiple(self.prepared)
        )
        return Conclusion(not wrong, f"the loss times {FACTOR:g}: {wrong}" if wrong else "")

    def reused(self) -> Conclusion:
        """One graph differentiated again, or while another is alive, gives the same gradient; to refuse it conforms.

        Of the loss times :data:`FACTOR`: what has been scaled in place by 1 cannot be told from what has not been.
        """
        other = self.prepared.on(self._reversed)
        task = replace(self.prepared.task, factor=FACTOR, others=other.task.inputs)
        here, there = self._multiple(self.prepared), self._multiple(other, task.cotangent)
        refused: list[str] = []
        for reduction in dict.fromkeys((task.reductions[0], task.reductions[-1])):
            answer = self.answer(replace(task, reductions=(reduction,), slopes=(reduction,)))
            once = answer.gradients[USES[0]]
            if isinstance(once, Failure):
                raise Unjudged("not-run", f"it cannot be differentiated: {once}")
            for use, found in answer.gradients.items():
                if isinstance(found, Failure):
                    refused.append(f"{use}, it is refused: {found}")
                    continue
                case, truth = (other.case, there) if use == USES[-1] else (self.case, here)
                part = {name: array / array.dtype.type(2) for name, array in found.items()}
                told = Answer({}, {reduction: part if use == "accumulated" else found})
                wrong = self.wrong(case, told, truth)
                if wrong:
                    return Conclusion(False, f"{use}: {wrong}")
            if answer.modified:
                return Conclusion(False, f"differentiating changes the input {', '.join(answer.modified)}")
        return Conclusion(True, grades=tuple(dict.fromkeys(refused)))

    def curvature(self) -> Conclusion:
        """The second derivative along a direction, off the kinks; to say that there is none conforms.

        lossmark's own implementations must have it or say so; of a guest it is a grade, because few ever ask for it.
        """
        task, loss = self.prepared.task, self.run.loss
        reduction = task.reductions[-1]
        which = reduction or "mean"
        kink = self.truth(self.prepared).kinks["none"]
        smooth = self.case if kink is None else without(self.case, kink.rows)
        case = directed(smooth, loss)
        directions = {name: case.inputs[ALONG + name].astype(self.dtype.numpy) for name in loss.gradient_of}
        answer = self.answer(replace(self.prepared.on(smooth).task, reductions=(reduction,), directions=directions))
        found = answer.gradients[reduction]
        if isinstance(found, Failure):
            plain = self.answer(replace(self.prepared.on(smooth).task, reductions=(reduction,), slopes=(reduction,)))
            once = plain.gradients.get(reduction, found)
            if isinstance(once, Failure):
                raise Unjudged("not-run", f"it cannot be differentiated once: {once}")
            return Conclusion(True, grades=(f"it cannot be differentiated twice, and says so: {found}",))
        truth = expected(
            curved(self.prepared.held_to),
            self.prepared.on(case).meant,
            self.prepared.counted,
            np.ones(case.batch),
            (which,),
            self.run.scale,
        )
        accepted = truth.gradients[which]
        if loose(list(accepted.values()), self.dtype):
            raise Unjudged("not-run", TOO_LOOSE)
        zeros = {name: np.zeros(part.shape) for name, part in accepted.items()}
        result = slopes({**zeros, **found}, accepted, None, self.dtype, f"second derivative of {which}")
        if result.ok:
            return Conclusion(True)
        detail = result.note or explained(result)
        if self.own:
            return Conclusion(False, detail)
        return Conclusion(True, grades=(f"wrong without a word when differentiated twice: {detail}",))

    def layout(self) -> Conclusion:
        """Other memory layouts of the same numbers give the same result."""
        alike = self.case.with_rows(lambda x: np.repeat(x[:1], len(x), axis=0))
        name = self.run.target.reference.framework
        layouts = framework(name).layouts
        if not layouts:
            raise Unjudged("unsupported", f"{name} tensors show no memory layout")
        for case in (self.case, replace(self.case, id=f"{self.case.id} alike", inputs=alike, golden=None)):
            task = self.prepared.on(case).task
            task = replace(task, reductions=task.reductions[:1], slopes=task.slopes[:1])
            for layout in layouts:
                answer = self.answer(replace(task, layout=layout))
                wrong = self.wrong(case, answer, self.truth(self.prepared.on(case)))
                if wrong or answer.modified:
                    return Conclusion(False, f"{layout}: {wrong or 'the input is modified'}")
        return Conclusion(True, ", ".join(layouts))

    def properties(self) -> Conclusion:
        """Random batches, and what the laws of the spec make of them, conform; a failure is made simple and kept.

        Under none, sum and mean: what conforms under each agrees with the others, and the sum adds up.
        """

        def wrong(case: Case) -> str:
            task = self.prepared.on(case).task
            return self.wrong(
                case, self.answer(replace(task, slopes=task.slopes[:1])), self.truth(self.prepared.on(case))
            )

        found = search(self.prepared, wrong)
        if found is None:
            return Conclusion(True)
        return Conclusion(False, f"{found.detail} | lossmark promote {found.write()} makes it a case of the spec")

    def state(self) -> Conclusion:
        """Loading and calls, the first among them, leave settings, random numbers, warnings and functions alone."""
        task = self.prepared.task
        keywords = reduced({**task.inputs, **task.params}, task.reductions[0])
        watched = self.ask(Watch(task.impl, task.loss, keywords, task.device))
        assert isinstance(watched, Watched)
        if watched.wrong:
            return Conclusion(False, f"left changed: {'; '.join(watched.wrong)}")
        self.succeeded(*self.call(keywords))
        return Conclusion(True, grades=(f"left changed: {'; '.join(watched.additions)}",) if watched.additions else ())


def _arrays(answer: Answer) -> Iterator[tuple[str, Array]]:
    """Every array of an answer, by what it is."""
    for reduction, outcome in answer.values.items():
        if isinstance(outcome, Returned) and outcome.array is not None:
            yield f"value under {reduction or 'mean'}", outcome.array
    for reduction, found in answer.gradients.items():
        if not isinstance(found, Failure):
            for name, array in found.items():
                yield f"gradient of {reduction or 'mean'} by {name}", array
