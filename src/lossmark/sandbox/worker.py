"""The process that runs code under test: ``python -m lossmark.worker FD``.

It never judges. Whatever the code does — prints, exits, crashes, patches its framework — happens here, and the
process that judges sees plain arrays, a failure, or a closed connection.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from ..adapters.framework import Derivative, Framework
from ..adapters.implementation import Implementation
from ..adapters.installed import framework
from ..adapters.registry import load_all
from ..work import (
    PROTOCOL,
    Answer,
    Array,
    Failure,
    Hello,
    Message,
    Outcome,
    Probe,
    Probed,
    Reply,
    Stage,
    Staged,
    Start,
    Task,
    Timing,
    Watch,
    Watched,
    Weighing,
)
from .global_state import Surroundings
from .readout import Outcomes, failure
from .stopwatch import Stopwatch


class Runner:
    """Runs tasks of the implementations of one file, keeping compiled programs."""

    def __init__(self, implementations: Iterable[Implementation], adapter: Framework, surroundings: Surroundings):
        self.implementations = {impl.name: impl for impl in implementations}
        self.framework = adapter
        self.surroundings = surroundings
        self._outcomes = Outcomes(adapter)
        self._programs: dict[tuple[Any, ...], Any] = {}
        self._stopwatch: Stopwatch | None = None

    def reply(self, message: Message) -> Reply:
        """Whatever was asked for."""
        if isinstance(message, Task):
            return self.answer(message)
        if isinstance(message, Probe):
            return self.probed(message)
        if isinstance(message, Watch):
            return self.watched(message)
        if isinstance(message, Stage):
            return self.staged(message)
        assert self._stopwatch is not None
        if isinstance(message, Timing):
            return self._stopwatch.time(message)
        return self._stopwatch.weigh(message) if isinstance(message, Weighing) else self._stopwatch.stream()

    def staged(self, stage: Stage) -> Staged:
        """Make ready to time what the stage says."""
        self._stopwatch = Stopwatch(self.framework, self.implementations[stage.impl], stage)
        return Staged()

    # -- tasks -------------------------------------------------------------------------------------------------------

    def answer(self, task: Task) -> Answer:
        impl = self.implementations[task.impl]
        function = impl.losses[task.loss]
        values: dict[str | None, Outcome] = {}
        beside: dict[str | None, Outcome] = {}
        gradients: dict[str | None, Mapping[str, Array] | Failure] = {}
        modified: set[str] = set()

        def call(inputs: Mapping[str, Any], params: Mapping[str, Any], reduction: str | None) -> Any:
            extra = {} if reduction is None else {"reduction": reduction}
            shared = {name: inputs[other] for name, other in task.aliases.items()}
            loss = function(**inputs, **shared, **params, **extra)
            return loss if task.factor == 1 else task.factor * loss

        def tensors() -> dict[str, Any]:
            return {name: self._input(array, task) for name, array in task.inputs.items()}

        def attempt(run: Callable[[dict[str, Any]], Any]) -> Any:
            inputs = tensors()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    result = run(inputs)
                    self.framework.synchronise(result)
            except BaseException as error:  # SystemExit and KeyboardInterrupt too: nobody else raises them here
                result = failure(error)
            modified.update(name for name, x in inputs.items() if self._outcomes.changed(x, task.inputs[name]))
            return result

        if task.directions:
            gradients[task.reductions[0]] = self._curvature(task, call, attempt)
            return Answer(values, gradients)
        if task.mode == "eager":
            for reduction in task.reductions:
                run = functools.partial(call, params=task.params, reduction=reduction)
                values[reduction] = self._outcomes.returned(attempt(run))
        if self.framework.autodiff:
            self._differentiate(task, call, attempt, gradients, beside)
            if task.mode != "eager":
                values = dict(beside)
        elif task.loss in impl.gradients:
            self._by_hand(impl.gradients[task.loss], task, attempt, gradients)
        return Answer(values, gradients, beside, tuple(sorted(modified)))

    def _differentiate(
        self,
        task: Task,
        call: Callable[..., Any],
        attempt: Callable[[Callable[[dict[str, Any]], Any]], Any],
        gradients: dict[str | None, Mapping[str, Array] | Failure],
        beside: dict[str | None, Outcome],
    ) -> None:
        """All reductions in one program; where that fails, one program each, so that a failure stays its own."""
        together = attempt(functools.partial(self._run, task, call, task.reductions))
        for reduction in task.reductions:
            found = together
            if isinstance(found, Failure) and len(task.reductions) > 1:
                found = attempt(functools.partial(self._run, task, call, (reduction,)))
            if isinstance(found, Failure):
                beside[reduction] = found
                if reduction in task.slopes:
                    gradients[reduction] = found
                continue
            derivative: Derivative = found[reduction]
            beside[reduction] = self._outcomes.returned(derivative.value)
            if derivative.gradient is not None:
                gradients[reduction] = self._outcomes.gradient(derivative.gradient)

    def _curvature(
        self, task: Task, call: Callable[..., Any], attempt: Callable[[Callable[[dict[str, Any]], Any]], Any]
    ) -> Mapping[str, Array] | Failure:
        directions = {name: self._input(array, task) for name, array in task.directions.items()}

        def run(inputs: dict[str, Any]) -> Any:
            return self.framework.curvature(call, task.reductions[0], inputs, directions, task.params)

        found = attempt(run)
        return found if isinstance(found, Failure) else self._outcomes.gradient(found)

    def _run(
        self, task: Task, call: Callable[..., Any], reductions: tuple[str | None, ...], inputs: dict[str, Any]
    ) -> Any:
        key = (task.impl, task.loss, task.mode, task.device, task.wrt, reductions, task.slopes)
        if task.mode == "eager":
            program = self.framework.program(call, reductions, task.slopes, task.wrt, task.mode)
        else:
            if key not in self._programs:
                self._programs[key] = self.framework.program(call, reductions, task.slopes, task.wrt, task.mode)
            program = self._programs[key]
        return program(inputs, self.framework.from_numpy(task.cotangent, task.device), task.params)

    def _by_hand(
        self,
        function: Callable[..., Any],
        task: Task,
        attempt: Callable[[Callable[[dict[str, Any]], Any]], Any],
        gradients: dict[str | None, Mapping[str, Array] | Failure],
    ) -> None:
        for reduction in task.slopes:
            extra = {} if reduction is None else {"reduction": reduction}
            found = attempt(functools.partial(_spread, function, {**task.params, **extra}))
            if not isinstance(found, (Failure, Mapping)):
                found = Failure(
                    "raised", "TypeError", f"the gradient must be a dict of arrays, got {type(found).__name__}"
                )
            gradients[reduction] = found if isinstance(found, Failure) else self._outcomes.gradient(found)

    def _input(self, array: Array, task: Task) -> Any:
        if task.layout:
            found = self.framework.strided(array, task.device).get(task.layout)
            if found is not None:
                return found
        return self.framework.from_numpy(array, task.device)

    # -- probes ------------------------------------------------------------------------------------------------------

    def probed(self, probe: Probe) -> Probed:
        function = self.implementations[probe.impl].losses[probe.loss]
        calls = [{k: self._tensor(v, probe.device) for k, v in call.items()} for call in probe.calls]
        return Probed([self._attempt(function, keywords) for keywords in calls])

    def watched(self, watch: Watch) -> Watched:
        function = self.implementations[watch.impl].losses[watch.loss]
        keywords = {name: self._tensor(value, watch.device) for name, value in watch.keywords.items()}

        def call() -> None:
            with contextlib.suppress(BaseException):  # what the call returns or raises is for other checks
                function(**keywords)

        return Watched(self.surroundings.by_calling(call), self.surroundings.by_loading)

    def _tensor(self, value: Any, device: str) -> Any:
        return self.framework.from_numpy(value, device) if isinstance(value, np.ndarray) else value

    def _attempt(self, function: Callable[..., Any], keywords: Mapping[str, Any]) -> Outcome:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = function(**keywords)
                self.framework.synchronise(result)
        except BaseException as error:
            return failure(error)
        return self._outcomes.returned(result)


def _spread(function: Callable[..., Any], extra: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    return function(**inputs, **extra)


def serve(connection: Connection) -> None:
    """Answer messages until the connection closes."""
    start: Start = connection.recv()
    try:
        adapter = framework(start.framework)
        setup = adapter.setup()
        surroundings = Surroundings(adapter)
        implementations = [impl for source in start.sources for impl in load_all(source)]
        surroundings.loaded()
        runner = Runner(implementations, adapter, surroundings)
        hello = Hello(adapter.devices(), setup, protocol=PROTOCOL)
    except BaseException as error:
        traceback.print_exc()
        connection.send(Hello(error=str(failure(error))))
        return
    connection.send(hello)
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        connection.send(runner.reply(message))


def main() -> None:
    """Take the connection from the inherited file descriptor."""
    serve(Connection(int(sys.argv[1])))
    os._exit(0)  # a guest's threads and exit handlers must not keep the process


if __name__ == "__main__":
    main()
