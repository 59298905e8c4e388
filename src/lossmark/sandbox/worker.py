"""The process that runs code under test, started as ``python -m lossmark.worker FD``.

It never judges. Whatever the code does — prints, exits, crashes, patches its framework — happens here, and the
process that judges sees plain arrays, a failure, or a closed connection.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, get_args

import numpy as np

from ..adapters.framework import Call, Derivative, Framework
from ..adapters.implementation import Implementation
from ..adapters.installed import framework
from ..adapters.registry import load_all
from .attempt import Attempt, Inputs, Slopes, call_of
from .channel import Line
from .global_state import FirstCall, GlobalState
from .messages import (
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
from .readout import Readout, failure
from .reuse import reused
from .schema import Unfit
from .stopwatch import Stopwatch
from .wire import OtherMessages

MOST_LINES = 1000
"""Lines of what a guest has changed: there may be one for every function of a framework."""


class Runner:
    """Answers messages about some implementations of one framework, keeping compiled programs."""

    def __init__(self, implementations: Iterable[Implementation], adapter: Framework, state: GlobalState):
        self.implementations = {impl.name: impl for impl in implementations}
        self.framework = adapter
        self._state = state
        self._readout = Readout(adapter)
        self._functions: dict[tuple[str, str], FirstCall] = {}
        self._programs: dict[tuple[Any, ...], Any] = {}
        self._stopwatch: Stopwatch | None = None

    def reply(self, message: Message) -> Reply:
        """The reply to any message; messages that time something follow a :class:`Stage`."""
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
        """Values and gradients of a task; a mode that traces gives its values beside the gradients only."""
        impl = self.implementations[task.impl]
        traced = self.framework.mode(task.mode).traced
        function = impl.losses[task.loss] if traced else self._watched(task.impl, task.loss)
        call = call_of(self.framework.traceable(function, task.mode), task)
        attempt = Attempt(self.framework, self._readout, task)
        if task.directions:
            return Answer({}, {task.reductions[0]: self._curvature(task, call, attempt)})
        if task.others:
            return Answer({}, reused(self.framework, call, attempt, task), {}, tuple(sorted(attempt.modified)))
        values = {} if traced else {reduction: attempt.value(call, reduction) for reduction in task.reductions}
        beside: dict[str | None, Outcome] = {}
        if self.framework.autodiff:
            beside, gradients = self._differentiated(task, call, attempt)
            values = dict(beside) if traced else values
        else:
            gradients = self._by_hand(task, impl, attempt)
        return Answer(values, gradients, beside, tuple(sorted(attempt.modified)))

    def _by_hand(self, task: Task, impl: Implementation, attempt: Attempt) -> Slopes:
        """The gradients that the implementation has a function of its own for, if it has one."""
        function = impl.gradients.get(task.loss)
        if function is None:
            return {}
        gradients: Slopes = {}
        for reduction in task.slopes:
            extra = {} if reduction is None else {"reduction": reduction}
            gradients[reduction] = attempt.gradient(functools.partial(_spread, function, {**task.params, **extra}))
        return gradients

    def _differentiated(self, task: Task, call: Call, attempt: Attempt) -> tuple[dict[str | None, Outcome], Slopes]:
        """Values and gradients by reduction, from one program for all reductions.

        Where that fails there is one program for each, so that a failure stays its own.
        """
        values: dict[str | None, Outcome] = {}
        gradients: Slopes = {}
        together = attempt.result(functools.partial(self._run, task, call, attempt, task.reductions))
        for reduction in task.reductions:
            found = together
            if isinstance(found, Failure) and len(task.reductions) > 1:
                found = attempt.result(functools.partial(self._run, task, call, attempt, (reduction,)))
            if isinstance(found, Failure):
                values[reduction] = found
                if reduction in task.slopes:
                    gradients[reduction] = found
                continue
            derivative: Derivative = found[reduction]
            values[reduction] = self._readout.returned(derivative.value)
            if derivative.gradient is not None:
                gradients[reduction] = self._readout.gradient(derivative.gradient)
        return values, gradients

    def _curvature(self, task: Task, call: Call, attempt: Attempt) -> Mapping[str, Array] | Failure:
        directions = {name: attempt.tensor(array) for name, array in task.directions.items()}

        def run(inputs: Inputs) -> Any:
            return self.framework.curvature(call, task.reductions[0], inputs, directions, task.params)

        return attempt.gradient(run)

    def _run(self, task: Task, call: Call, attempt: Attempt, reductions: tuple[str | None, ...], inputs: Inputs) -> Any:
        """The derivatives of some reductions; a mode that traces keeps its program for the next task.

        The cotangent has the memory layout of the inputs, and nobody may write to it either.
        """
        key = (task.impl, task.loss, task.mode, task.device, task.wrt, reductions, task.slopes)
        program = self._programs.get(key)
        if program is None:
            program = self.framework.program(call, reductions, task.slopes, task.wrt, task.mode)
            if self.framework.mode(task.mode).traced:
                self._programs[key] = program
        cotangent = attempt.tensor(task.cotangent)
        found = program(inputs, cotangent, task.params)
        if self._readout.changed(cotangent, task.cotangent):
            attempt.modified.add("cotangent")
        return found

    # -- probes ------------------------------------------------------------------------------------------------------

    def probed(self, probe: Probe) -> Probed:
        """What each call of a probe returns or raises."""
        function = self._watched(probe.impl, probe.loss)
        calls = [{k: self._tensor(v, probe.device) for k, v in call.items()} for call in probe.calls]
        return Probed([self._attempt(function, keywords) for keywords in calls])

    def watched(self, watch: Watch) -> Watched:
        """What a call leaves changed in this process, and what loading the implementation did."""
        function = self._watched(watch.impl, watch.loss)
        keywords = {name: self._tensor(value, watch.device) for name, value in watch.keywords.items()}

        def call() -> None:
            with contextlib.suppress(BaseException):  # what the call returns or raises is for other checks
                function(**keywords)

        if not function.over:
            call()
            function.over = True  # what never gives a result is not watched for ever
        found = self._state.by_loading + self._state.by_calling(call) + function.changes
        return Watched(found.wrong[:MOST_LINES], found.additions[:MOST_LINES])

    def _watched(self, impl: str, loss: str) -> FirstCall:
        """The function of a loss, watched at its first call."""
        if (impl, loss) not in self._functions:
            self._functions[impl, loss] = self._state.first(self.implementations[impl].losses[loss])
        return self._functions[impl, loss]

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
        return self._readout.returned(result)


def _spread(function: Callable[..., Any], extra: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    return function(**inputs, **extra)


def _warm_up(adapter: Framework) -> None:
    """Have the framework compute and differentiate: what it changes at its first use is not the guest's doing."""
    x = adapter.from_numpy(np.ones(1, np.float32))
    if adapter.autodiff:
        program = adapter.program(lambda inputs, *_: inputs["x"] * inputs["x"], (None,), (None,), ("x",), "eager")
        program({"x": x}, x, {})


def serve(line: Line, watched: Iterable[ModuleType]) -> None:
    """Answer messages until the connection closes; nobody may replace functions of the modules ``watched``.

    A judge of a revision with other messages is told so, as far as it understands.
    """
    try:
        start: Start = line.receive(Start)
    except OtherMessages:  # the judge sees by any frame that it is of another revision
        return line.send(Hello())
    except Unfit as error:  # such as a pickle: its judge shows the last line of the standard error
        sys.exit(f"the judge is of a revision that speaks other messages: {error}")
    try:
        adapter = framework(start.framework)
        setup = adapter.setup()
        state = GlobalState(adapter, watched)
        implementations = [impl for source in start.sources for impl in load_all(source)]
        state.loaded()
        _warm_up(adapter)
        runner = Runner(implementations, adapter, state)
        hello = Hello(adapter.devices(), setup)
    except BaseException as error:
        traceback.print_exc()
        return line.send(Hello(error=str(failure(error))))
    line.send(hello)
    while True:
        try:
            message: Message = line.receive(*get_args(Message))
        except EOFError:
            return None
        line.send(runner.reply(message))


def main(watched: Iterable[ModuleType]) -> None:
    """Serve the connection whose file descriptor is the first argument of the command line, then end the process."""
    serve(Line(socket.socket(fileno=int(sys.argv[1]))), watched)
    os._exit(0)  # a guest's threads and exit handlers must not keep the process
