"""Candidates are put to an implementation, many in one call where examples do not depend on one another, and judged.

Each is judged by itself, by the very checks of a conformance run. Losses are asked for under ``none``, which every
implementation has that can be asked for several; gradients under weights of 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..checks.ordinary import Judged
from ..checks.prepared import Prepared
from ..checks.run import Run
from ..dtypes import DTYPES
from ..results.cell import Cell
from ..sandbox.messages import Answer, Failure, Outcome, Task
from ..specification.case import Case
from ..specification.loss import Loss
from ..suite.answers import Answers
from ..tolerance.acceptance import Expected
from ..tolerance.expected import count_of
from ..tolerance.in_parts import InParts
from ..tolerance.reduced import reduce
from ..tolerance.transformed import scaled
from .ground import together
from .quarry import HUNTED, Quarry

ROWS_OF_A_CALL = 64
"""Examples of a call, always so many: what is compiled is compiled once, and an example's place matters to nobody."""


class Unanswered(Exception):  # noqa: N818 (an outcome, not an error)
    """The implementation gives no result for inputs that it should take."""


@dataclass(frozen=True)
class Examiner:
    """Puts candidates of one ground after another to an implementation; ``answers`` has its process."""

    quarry: Quarry
    loss: Loss
    answers: Answers

    @property
    def run(self) -> Run:
        """The run that is asked."""
        return self.quarry.run(self.loss)

    def most(self) -> int:
        """How many candidates one call takes."""
        return ROWS_OF_A_CALL if not self.loss.coupled and self.run.target.takes(self.loss, "reduction") else 1

    def __call__(self, cases: Sequence[Case]) -> list[dict[str, Cell]]:
        """The cells of each candidate by check, from calls that are always of the same size.

        All candidates are of one ground. Raises :class:`Unanswered`.
        """
        most = self.most()
        calls = [cases[start : start + most] for start in range(0, len(cases), most)]
        found = []
        for some in calls:
            found += self._called([*some, *[some[-1]] * (most - len(some))])[: len(some)]
        return found

    def alone(self, case: Case) -> dict[str, Cell]:
        """The cells of a candidate that has a call for itself; raises :class:`Unanswered`."""
        return self._called([case])[0]

    def _called(self, cases: Sequence[Case]) -> list[dict[str, Cell]]:
        """The cells of candidates in one call."""
        run = self.run
        prepared = Prepared(run, together(cases), DTYPES[run.dtype])
        reduction = "none" if run.target.takes(self.loss, "reduction") else None
        slope = "sum" if reduction and not (run.target.autodiff or run.target.remote) else reduction
        task = replace(
            prepared.task, reductions=(reduction,), cotangent=np.ones(prepared.case.batch, prepared.dtype.numpy),
            slopes=(slope,) if run.target.differentiates(self.loss) else (),
        )  # fmt: skip
        answer = self._asked(task)
        failure = answer.failure
        if failure is not None:
            raise Unanswered(f"no result: {failure}")
        found = []
        truths = self._truths(prepared, reduction, slope, len(cases))
        rows = _rows(answer, prepared.case, len(cases))
        for case, row, truth in zip(cases, rows, truths, strict=True):
            judged = Judged(prepared.on(case), row, truth)
            found.append({check: getattr(judged, check)() for check in HUNTED})
        return found

    def _asked(self, task: Task) -> Answer:
        served = self.answers.to(task, self.run, " ".join(("hunt", *self.quarry.key[1:]))).found
        if isinstance(served, Failure):
            raise Unanswered(str(served))
        assert isinstance(served, Answer)
        return served

    def _truths(self, prepared: Prepared, reduction: str | None, slope: str | None, parts: int) -> Iterator[Expected]:
        """What each of the candidates expects: a row of the batch, or all of it where there is one."""
        case, dtype, loss, scale = prepared.meant, prepared.counted, prepared.held_to, prepared.run.scale
        value, slope = reduction or "mean", slope or "mean"
        count = count_of(loss, case.params, case.inputs, case.batch, dtype)
        how = InParts(loss, case.params, dtype, count, slope, loss.gradient_of, scale, textbook=True)
        part = how.read(case, np.ones(case.batch))
        example = scaled(part.example, scale, dtype)
        for number in range(parts):
            rows = slice(0, case.batch) if parts == 1 else slice(number, number + 1)
            shared = {item.name for item in loss.inputs if item.shared}
            slopes = {
                name: accepted if name in shared else accepted.rows(rows)
                for name, accepted in part.truth.gradients[slope].items()
            }
            kink = part.truth.kinks[slope]
            here = reduce(example.rows(rows), value, dtype, count)
            yield Expected({value: here}, {slope: slopes}, {slope: kink and kink.within(rows)})


def _rows(answer: Answer, case: Case, parts: int) -> Iterator[Answer]:
    """The answer for each candidate: its row of every result that has as many rows as the batch."""
    if parts == 1:
        yield answer
        return

    def values(outcomes: Mapping[str | None, Outcome], row: int) -> dict[str | None, Outcome]:
        return {reduction: _row_of(outcome, row, parts) for reduction, outcome in outcomes.items()}

    for row in range(parts):
        gradients = {
            reduction: found
            if isinstance(found, Failure)
            else {
                name: array[row : row + 1] if array.shape[:1] == (parts,) and case.by_example(name) else array
                for name, array in found.items()
            }
            for reduction, found in answer.gradients.items()
        }
        yield Answer(values(answer.values, row), gradients, values(answer.beside, row))


def _row_of(outcome: Outcome, row: int, parts: int) -> Outcome:
    if isinstance(outcome, Failure) or outcome.array is None or outcome.array.shape != (parts,):
        return outcome
    return replace(outcome, array=outcome.array[row : row + 1], shape=(1,))
