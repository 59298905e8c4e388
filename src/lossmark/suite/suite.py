"""Runs a plan: has each case computed by a worker, and judges what comes back.

Workers run ahead of the judge, each in a lane of its own; checks that ask a worker again and again are made ahead too,
in threads, so that one framework is asked while another computes. Exact values and bounds are computed once per case
and dtype and shared by all implementations.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from ..adapters.installed import framework
from ..adapters.mode import Compiling, Mode
from ..checks.catalogue import CONSISTENCY, ORDINARY
from ..checks.consistency import Consistency, Unjudged
from ..checks.ordinary import Judged
from ..checks.run import Run, cell, failed
from ..checks.usage import Usage
from ..dtypes import DTYPES, F64, DType
from ..results.cell import Cell
from ..sandbox.process import GaveUp
from ..sandbox.work_queue import Lane
from ..specification.loss import Case, Family, draw
from ..tolerance.acceptance import REDUCTIONS, Expected
from ..tolerance.expected import expected, expected_of_many
from ..work import Answer, Failure, Message, Reply, Task
from .shared_shapes import pack

TRUTHS = 6
"""How many families' exact values are kept at a time."""
DIALOGUES = 4
"""How many checks that ask a worker more than once are made at a time, of lossmark's own implementations: what a guest
crashes in must not depend on the order."""


class Unsupported(Exception):  # noqa: N818 (an outcome, not an error)
    """The implementation does not take what the case needs."""


class Suite:
    """Judges runs. ``ahead`` lists the runs that will be asked for, in order, so that workers can start on them.

    Each implementation has a worker of its own, so that nothing it does touches another; lossmark's own of a framework
    share one, and ``shared`` gives one to all implementations of a file.
    """

    def __init__(self, ahead: Iterable[Run] = (), *, shared: bool = False):
        self._shared = shared
        self._lanes: dict[tuple[str, ...], Lane] = {}
        self._golden: dict[tuple[str, tuple[int, ...], DType, str], Expected] = {}
        self._truths: OrderedDict[tuple[Any, ...], Expected] = OrderedDict()
        self._drawn: OrderedDict[tuple[str, str, str], Case] = OrderedDict()
        self._lock = threading.Lock()
        self._reading = threading.RLock()
        self._dialogues = ThreadPoolExecutor(DIALOGUES, "dialogue")
        self._extras: dict[int, Future[list[Cell]]] = {}
        runs = [run for run in ahead if not run.reason]
        for run in runs:
            if "refusal" not in run.checks:
                self._lane(run).plan(id(run), functools.partial(self._compute, run))
        for lane in self._lanes.values():
            lane.start()
        for run in runs:
            if run.target.reference.own and set(run.checks) - set(ORDINARY):
                self._extras[id(run)] = self._dialogues.submit(self._extra_cells, run)

    def close(self) -> None:
        """End every worker."""
        self._dialogues.shutdown(wait=False, cancel_futures=True)
        for lane in self._lanes.values():
            lane.close()

    # -- computing ---------------------------------------------------------------------------------------------------

    def _lane(self, run: Run) -> Lane:
        reference = run.target.reference
        key = reference.together if self._shared or reference.own else (reference.source, reference.name)
        with self._lock:
            if key not in self._lanes:
                self._lanes[key] = Lane(reference)
            return self._lanes[key]

    def _compute(self, run: Run) -> Reply | Failure:
        return self._send(run, self._task(run, self.case(run)))

    def _send(self, run: Run, message: Message) -> Reply | Failure:
        worker = self._lane(run).worker
        hello = worker.hello if worker.strikes else None
        try:
            hello = hello or worker.start()
            if not hello.error and run.device not in hello.devices:
                return Failure("fell back", "", f"{run.target.reference.framework} sees no {run.device}")
            return worker.run(message)
        except GaveUp as error:
            return Failure("crashed", "", str(error))

    def _ask(self, run: Run, message: Message) -> Reply:
        found = self._lane(run).ask(functools.partial(self._send, run, message))
        if isinstance(found, Failure):
            raise _Stopped(found)
        return found

    def case(self, run: Run) -> Case:
        """The case as it is run: a family drawn in the dtype, packed where it is compiled."""
        mode = _mode(run)
        shapes = mode.compiling == Compiling.SHORT and run.dtype == "float32" and isinstance(run.case, Family)
        whole = run.full or not run.target.reference.own or shapes
        packs = mode.compiles and not whole
        key = (run.case.id, run.dtype, run.mode if packs else "")
        with self._lock:
            if key not in self._drawn:
                case = run.case if isinstance(run.case, Case) else draw(run.loss, run.case, DTYPES[run.dtype])
                self._drawn[key] = pack(case, mode) if key[2] and case.error is None else case
                while len(self._drawn) > 64:
                    self._drawn.popitem(last=False)
            return self._drawn[key]

    def params(self, run: Run, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The given parameters that the function takes; raises :class:`Unsupported` if it lacks one that matters."""
        fixed = {} if run.deviation is None else run.deviation.fixed
        defaults = {**run.loss.params({}), **fixed}
        taken = {}
        for name, value in given.items():
            if run.target.takes(run.loss, name):
                taken[name] = value
            elif value != defaults[name]:
                raise Unsupported(f"the function takes no {name}")
        return taken

    def _task(self, run: Run, case: Case) -> Task:
        dtype = DTYPES[run.dtype]
        reductions = ("none", "sum", "mean") if run.target.takes(run.loss, "reduction") else (None,)
        return Task(
            run.target.name,
            run.loss.id,
            self.params(run, case.params),
            {name: array.astype(dtype.numpy) for name, array in case.inputs.items()},
            run.loss.gradient_of,
            _cotangent(case, dtype).astype(dtype.numpy),
            reductions,
            run.slopes if reductions[0] else reductions,
            run.mode,
            run.device,
        )

    def truth(self, run: Run, case: Case, *, gradual: bool = False) -> Expected:
        """What the case expects in the run's dtype, ``gradual`` underflow required. Golden cases are read at once."""
        with self._reading:
            return self._truth(run, case, gradual)

    def _truth(self, run: Run, case: Case, gradual: bool) -> Expected:
        dtype = replace(DTYPES[run.dtype], gradual=gradual)
        if not isinstance(run.case, Case):
            return self._family_truth(run, case, dtype)
        changes = "" if run.deviation is None else run.deviation.changes
        if (case.id, case.shape, dtype, changes) not in self._golden:
            alone = gradual or case.id != run.case.id
            many = [case] if alone else self._siblings(run, case)
            weights = [_cotangent(other, dtype) for other in many]
            found = expected_of_many(run.loss, [_meant(run, other) for other in many], dtype, weights, scale=run.scale)
            for other, truth in zip(many, found, strict=True):
                self._golden[other.id, other.shape, dtype, changes] = truth
        return self._golden[case.id, case.shape, dtype, changes]

    def _siblings(self, run: Run, case: Case) -> list[Case]:
        """This case and the other golden cases in its dtype, packed as it is."""
        assert isinstance(run.case, Case)
        packs = case.shape != run.case.shape
        others = [other for other in run.loss.golden(run.dtype) if other.id != case.id]
        return [case, *(pack(other, _mode(run)) if packs else other for other in others)]

    def _family_truth(self, run: Run, case: Case, dtype: DType) -> Expected:
        wanted = ("none", "mean") if run.large and run.target.reference.own and not run.full else REDUCTIONS
        key = (case.id, case.shape, dtype.name, wanted, run.deviation and run.deviation.changes)
        if key not in self._truths:
            self._truths[key] = expected(run.loss, _meant(run, case), dtype, _cotangent(case, dtype), wanted, run.scale)
            while len(self._truths) > TRUTHS:
                self._truths.popitem(last=False)
        self._truths.move_to_end(key)
        return self._truths[key]

    # -- judging -----------------------------------------------------------------------------------------------------

    def cells(self, run: Run) -> list[Cell]:
        """The verdict of every check of a run."""
        if run.reason:
            return [cell(run, check, "not-run", run.reason) for check in run.checks]
        try:
            self.params(run, run.case.params)
        except Unsupported as error:
            return [cell(run, check, "unsupported", str(error)) for check in run.checks]
        extras = self._extras.pop(id(run), None)
        return self._ordinary(run) + (self._extra_cells(run) if extras is None else extras.result())

    def judged(self, run: Run) -> Judged | Failure:
        """The answer to a run beside what it expects; raises :class:`Unsupported`."""
        answer = self._lane(run).ask(functools.partial(self._compute, run), id(run))
        if isinstance(answer, Failure):
            return answer
        assert isinstance(answer, Answer)
        case = self.case(run)
        gradual = self.truth(run, case, gradual=True) if "Subnormal" in case.flags else None
        return Judged(run, case, DTYPES[run.dtype], answer, self.truth(run, case), gradual)

    def _ordinary(self, run: Run) -> list[Cell]:
        checks = [check for check in run.checks if check in ORDINARY]
        if not checks:
            return []
        found = self.judged(run)
        if isinstance(found, Failure):
            return [failed(run, check, found) for check in checks]
        return found.cells()

    def _extra_cells(self, run: Run) -> list[Cell]:
        return [self._extra(run, check) for check in run.checks if check not in ORDINARY]

    def _extra(self, run: Run, check: str) -> Cell:
        case, dtype = self.case(run), DTYPES[run.dtype]

        def truth(case: Case) -> Expected:
            return self.truth(run, case)

        def ask(message: Message) -> Reply:
            return self._ask(run, message)

        checks: Usage | Consistency
        if check in CONSISTENCY:
            checks = Consistency(run, case, dtype, ask, truth, functools.partial(self._task, run))
        else:
            checks = Usage(run, case, dtype, ask, truth)
        try:
            ok, detail = getattr(checks, check)()
        except _Stopped as stopped:
            return failed(run, check, stopped.failure)
        except Unjudged as outcome:
            return cell(run, check, outcome.verdict, outcome.reason)
        return cell(run, check, "pass" if ok else "fail", detail)


class _Stopped(Exception):  # noqa: N818 (an outcome, not an error)
    def __init__(self, failure: Failure):
        super().__init__(str(failure))
        self.failure = failure


def _mode(run: Run) -> Mode:
    return framework(run.target.reference.framework).mode(run.mode)


def _meant(run: Run, case: Case) -> Case:
    return case if run.deviation is None else run.deviation.meant(case)


def _cotangent(case: Case, dtype: DType) -> F64:
    """Random weights of the examples' losses, the same for every implementation."""
    seed = int.from_bytes(hashlib.sha256(case.id.encode()).digest()[:4])
    return dtype.round(np.random.default_rng(seed).uniform(0.5, 2.0, case.batch))
