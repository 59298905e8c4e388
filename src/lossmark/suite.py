"""Runs a plan: has each case computed by a worker, and judges what comes back.

Workers run ahead of the judge, each in a lane of its own, so that frameworks compile while others are judged. Exact
values and bounds are computed once per case and dtype and shared by all implementations.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .acceptance import REDUCTIONS, Expected
from .dtypes import DTYPES, F64, DType
from .judge import Judgement, combine, judge, loose, slopes
from .pack import pack
from .plan import Run, compiles
from .pool import GaveUp, Worker
from .results import Cell, Verdict
from .spec.loss import Case, Family, draw
from .tolerance import expected, expected_of_many
from .usage import Usage
from .work import Answer, Failure, Message, Probe, Probed, Reply, Returned, Task

AHEAD = 48
"""How many runs each worker may be ahead of the judge."""
TRUTHS = 6
"""How many families' exact values are kept at a time."""


class Unsupported(Exception):  # noqa: N818 (an outcome, not an error)
    """The implementation does not take what the case needs."""


@dataclass
class Lane:
    """One implementation's worker and the runs it has been given."""

    worker: Worker
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    waiting: list[Run] = field(default_factory=list)
    given: dict[int, Future[Reply | Failure]] = field(default_factory=dict)


class Suite:
    """Judges runs. ``ahead`` lists the runs that will be asked for, in order, so that workers can start on them."""

    def __init__(self, ahead: Iterable[Run] = ()):
        self._lanes: dict[str, Lane] = {}
        self._golden: dict[tuple[str, tuple[int, ...], str], Expected] = {}
        self._truths: OrderedDict[tuple[Any, ...], Expected] = OrderedDict()
        self._drawn: OrderedDict[tuple[str, str, str], Case] = OrderedDict()
        self._lock = threading.Lock()
        for run in ahead:
            if not run.reason:
                self._lane(run).waiting.append(run)

    def close(self) -> None:
        """End every worker."""
        for lane in self._lanes.values():
            lane.thread.shutdown(wait=False, cancel_futures=True)
            lane.worker.stop()

    # -- computing ---------------------------------------------------------------------------------------------------

    def _lane(self, run: Run) -> Lane:
        return self._lanes.setdefault(run.target.name, Lane(Worker(run.target.reference)))

    def answer(self, run: Run) -> Reply | Failure:
        """The worker's answer to the run's main task; keeps the lane busy with the runs to come."""
        lane = self._lane(run)
        while lane.waiting and len(lane.given) < AHEAD:
            ahead = lane.waiting.pop(0)
            if "refusal" not in ahead.checks:
                lane.given[id(ahead)] = lane.thread.submit(self._compute, lane, ahead)
        future = lane.given.pop(id(run), None) or lane.thread.submit(self._compute, lane, run)
        return future.result()

    def _compute(self, lane: Lane, run: Run) -> Reply | Failure:
        return self._send(lane, self._task(run), run)

    def _send(self, lane: Lane, message: Message, run: Run) -> Reply | Failure:
        hello = lane.worker.hello if lane.worker.strikes else None
        try:
            hello = hello or lane.worker.start()
            if not hello.error and run.device not in hello.devices:
                return Failure("fell back", "", f"{run.target.reference.framework} sees no {run.device}")
            return lane.worker.run(message)
        except GaveUp as error:
            return Failure("crashed", "", str(error))

    def _probe(self, run: Run, message: Probe) -> Probed:
        lane = self._lane(run)
        found = lane.thread.submit(self._send, lane, message, run).result()
        if isinstance(found, Failure):
            raise _Stopped(found)
        assert isinstance(found, Probed)
        return found

    def case(self, run: Run) -> Case:
        """The case as it is run: a family drawn in the dtype, packed where it is compiled."""
        compiled = compiles(run.target.reference.framework, run.mode)
        shapes = run.mode == "jit" and run.dtype == "float32" and isinstance(run.case, Family)
        whole = run.full or not run.target.reference.own or shapes
        packs = compiled and not whole
        key = (run.case.id, run.dtype, run.mode if packs else "")
        with self._lock:
            if key not in self._drawn:
                case = run.case if isinstance(run.case, Case) else draw(run.loss, run.case, DTYPES[run.dtype])
                self._drawn[key] = pack(case, run.mode) if key[2] and case.error is None else case
                while len(self._drawn) > 64:
                    self._drawn.popitem(last=False)
            return self._drawn[key]

    def params(self, run: Run) -> Mapping[str, Any]:
        """The case's parameters that the function takes; raises :class:`Unsupported` if it lacks one that matters."""
        defaults = run.loss.params({})
        taken = {}
        for name, value in run.case.params.items():
            if run.target.takes(run.loss, name):
                taken[name] = value
            elif value != defaults[name]:
                raise Unsupported(f"the function takes no {name}")
        return taken

    def _task(self, run: Run) -> Task:
        case = self.case(run)
        dtype = DTYPES[run.dtype]
        reductions = ("none", "sum", "mean") if run.target.takes(run.loss, "reduction") else (None,)
        return Task(
            run.loss.id,
            self.params(run),
            {name: array.astype(dtype.numpy) for name, array in case.inputs.items()},
            run.loss.gradient_of,
            _cotangent(case, dtype).astype(dtype.numpy),
            reductions,
            run.slopes if reductions[0] else reductions,
            run.mode,
            run.device,
        )

    def truth(self, run: Run, case: Case) -> Expected:
        """What the case expects in the run's dtype. Golden cases are read as one batch with their like."""
        dtype = DTYPES[run.dtype]
        if not isinstance(run.case, Case):
            return self._family_truth(run, case, dtype)
        if (case.id, case.shape, dtype.name) not in self._golden:
            like = [case] if case.golden is None and case.shape == run.case.shape else self._like(run, case)
            found = expected_of_many(run.loss, like, dtype, [_cotangent(other, dtype) for other in like])
            for other, truth in zip(like, found, strict=True):
                self._golden[other.id, other.shape, dtype.name] = truth
        return self._golden[case.id, case.shape, dtype.name]

    def _like(self, run: Run, case: Case) -> list[Case]:
        """The golden cases with the parameters and the D of this one, packed as it is."""
        assert isinstance(run.case, Case)
        packs = case.shape != run.case.shape
        others = [
            pack(other, run.mode) if packs else other
            for other in run.loss.cases
            if other.error is None and run.dtype in other.dtypes and other.params == run.case.params
        ]
        return [case, *(other for other in others if other.id != case.id and other.shape[1:] == case.shape[1:])]

    def _family_truth(self, run: Run, case: Case, dtype: DType) -> Expected:
        wanted = ("none", "mean") if run.large and run.target.reference.own and not run.full else REDUCTIONS
        key = (case.id, case.shape, dtype.name, wanted)
        if key not in self._truths:
            self._truths[key] = expected(run.loss, case, dtype, _cotangent(case, dtype), wanted)
            while len(self._truths) > TRUTHS:
                self._truths.popitem(last=False)
        self._truths.move_to_end(key)
        return self._truths[key]

    # -- judging -----------------------------------------------------------------------------------------------------

    def cells(self, run: Run) -> list[Cell]:
        """The verdict of every check of a run."""
        if run.reason:
            return [_cell(run, check, "not-run", run.reason) for check in run.checks]
        try:
            self.params(run)
        except Unsupported as error:
            return [_cell(run, check, "unsupported", str(error)) for check in run.checks]
        ordinary = [check for check in run.checks if check in _ORDINARY]
        usage = [check for check in run.checks if check not in _ORDINARY]
        cells = self._ordinary(run, ordinary) if ordinary else []
        return cells + [self._usage(run, check) for check in usage]

    def _ordinary(self, run: Run, checks: Sequence[str]) -> list[Cell]:
        answer = self.answer(run)
        if isinstance(answer, Failure):
            return [_failed(run, check, answer) for check in checks]
        assert isinstance(answer, Answer)
        case, dtype = self.case(run), DTYPES[run.dtype]
        judged = Judged(run, case, dtype, answer, self.truth(run, case))
        return [getattr(judged, check)() for check in checks]

    def _usage(self, run: Run, check: str) -> Cell:
        case = self.case(run)
        dtype = DTYPES[run.dtype]
        usage = Usage(run, case, dtype, lambda probe: self._probe(run, probe), lambda c: self.truth(run, c))
        try:
            verdict = getattr(usage, check)()
        except _Stopped as stopped:
            return _failed(run, check, stopped.failure)
        if verdict is None:
            return _cell(run, check, "unsupported", f"{run.target.reference.framework} tensors show no memory layout")
        ok, detail = verdict
        return _cell(run, check, "pass" if ok else "fail", detail)


class _Stopped(Exception):  # noqa: N818 (an outcome, not an error)
    def __init__(self, failure: Failure):
        super().__init__(str(failure))
        self.failure = failure


_ORDINARY = ("value", "gradient", "result", "unmodified")


@dataclass(frozen=True)
class Judged:
    """The ordinary checks on one answer."""

    run: Run
    case: Case
    dtype: DType
    answer: Answer
    truth: Expected

    @property
    def scale(self) -> float:
        deviation = self.run.target.deviations.get(self.run.loss.id)
        return 1.0 if deviation is None else deviation.scale

    def value(self) -> Cell:
        """The value under each reduction."""
        parts, error = [], None
        for reduction, outcome in self.answer.values.items():
            accepted = self.truth.values[reduction or "mean"]
            if isinstance(outcome, Failure):
                error = error or outcome
            elif not loose([accepted], self.dtype):
                parts.append(self._number(outcome, accepted, reduction or "mean"))
        return self._verdict("value", parts, error)

    def gradient(self) -> Cell:
        """The gradient of sum and mean, and of none under a random cotangent; and the value that came with it."""
        if not self.run.target.differentiates(self.run.loss):
            return _cell(self.run, "gradient", "unsupported", "no gradient is registered")
        parts, error = [], None
        for reduction, found in self.answer.gradients.items():
            if isinstance(found, Failure):
                error = error or found
                continue
            which = reduction or "mean"
            accepted = self.truth.gradients[which]
            if loose(list(accepted.values()), self.dtype):
                continue
            zeros = {name: np.zeros(part.hi.shape) for name, part in accepted.items()}
            parts.append(slopes({**zeros, **found}, accepted, self.truth.kinks[which], self.dtype, which, self.scale))
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
                return _failed(self.run, "result", outcome)
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
                    return _cell(self.run, "result", "fail", detail)
        return _cell(self.run, "result", "pass")

    def unmodified(self) -> Cell:
        """No input was changed by any call."""
        if self.answer.modified:
            return _cell(self.run, "unmodified", "fail", f"a call changed its input {', '.join(self.answer.modified)}")
        return _cell(self.run, "unmodified", "pass")

    def _number(self, outcome: Returned, accepted: Any, label: str) -> Judgement:
        if outcome.array is None:
            return Judgement(False, None, float("inf"), note=f"{label}: got {outcome.dtype}, expected a tensor")
        return judge(outcome.array, accepted, self.dtype, label, self.scale)

    def _verdict(self, check: str, parts: Sequence[Judgement], error: Failure | None) -> Cell:
        if error is not None and all(part.ok for part in parts):
            return _failed(self.run, check, error)
        if not parts:
            return _cell(self.run, check, "not-run", "the bound exceeds a quarter of the exact value")
        result = combine(parts)
        verdict: Verdict = (
            "fail" if not result.ok else "deviates" if self.run.target.deviations.get(self.run.loss.id) else "pass"
        )
        detail = result.note
        if not result.ok and result.worst is not None and not result.note:
            detail = _explained(result)
        elif verdict == "deviates":
            detail = self.run.target.deviations[self.run.loss.id].why
        return _cell(self.run, check, verdict, detail, result.error_ulp, result.budget_used)


def _explained(result: Judgement) -> str:
    worst = result.worst
    assert worst is not None
    return (
        f"{worst.label}{list(worst.index) if worst.index else ''}: got {worst.got!r} ({worst.got.hex()}), "
        f"expected {worst.expected!r} ({worst.expected.hex()}), off by {worst.ulp:.3g} ulp, bound {worst.bound:.3g}"
    )


def _failed(run: Run, check: str, failure: Failure) -> Cell:
    verdict: Verdict = "not-run" if failure.kind == "fell back" else "error"
    return _cell(run, check, verdict, f"{run.target.name}: {failure}" if verdict == "error" else str(failure))


def _cell(
    run: Run, check: str, verdict: Verdict, detail: str = "", ulp: float | None = None, used: float | None = None
) -> Cell:
    target = run.target.reference
    return Cell(
        target.name, target.framework, run.device, run.dtype, run.mode, run.loss.id, run.case.id, check,
        verdict, ulp, used, detail[:1000],
    )  # fmt: skip


def _cotangent(case: Case, dtype: DType) -> F64:
    """Random weights of the examples' losses, the same for every implementation."""
    seed = int.from_bytes(hashlib.sha256(case.id.encode()).digest()[:4])
    return dtype.round(np.random.default_rng(seed).uniform(0.5, 2.0, case.batch))
