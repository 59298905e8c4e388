"""The process that runs code under test: ``python -m lossmark.worker FD``.

It never judges. Whatever the code does — prints, exits, crashes, patches its framework — happens here, and the
process that judges sees plain arrays, a failure, or a closed connection.
"""

from __future__ import annotations

import functools
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from .framework import Derivative, FellBack, Framework
from .implementation import Implementation
from .registry import framework, load_all
from .work import (
    Answer,
    Array,
    Failure,
    Hello,
    Message,
    Outcome,
    Probe,
    Probed,
    Reply,
    Returned,
    Start,
    Task,
    Timed,
    Timing,
)


def failure(error: BaseException) -> Failure:
    """An exception as a message of bounded length."""
    text = " ".join(str(error).split())[:500]
    return Failure("fell back" if isinstance(error, FellBack) else "raised", type(error).__name__, text)


class Runner:
    """Runs tasks of the implementations of one file, keeping compiled programs."""

    def __init__(self, implementations: Iterable[Implementation], adapter: Framework):
        self.implementations = {impl.name: impl for impl in implementations}
        self.framework = adapter
        self._programs: dict[tuple[Any, ...], Any] = {}

    def reply(self, message: Message) -> Reply:
        """Whatever was asked for."""
        if isinstance(message, Task):
            return self.answer(message)
        return self.probed(message) if isinstance(message, Probe) else self.timed(message)

    def timed(self, timing: Timing) -> Timed:
        """The mean time of a call: loss and gradient, synchronised."""
        impl = self.implementations[timing.impl]
        function, by_hand = impl.losses[timing.loss], impl.gradients.get(timing.loss)
        inputs = {name: self.framework.from_numpy(array) for name, array in timing.inputs.items()}
        weights = self.framework.from_numpy(next(iter(timing.inputs.values()))[:1])

        def call(tensors: Mapping[str, Any], params: Mapping[str, Any], reduction: str | None) -> Any:
            return function(**tensors)

        program = (
            self.framework.program(call, (None,), (None,), timing.wrt, "eager") if self.framework.autodiff else None
        )
        start = time.perf_counter()
        for _ in range(timing.calls):
            if program is not None:
                result: Any = program(inputs, weights, {})
            else:
                result = function(**inputs), by_hand(**inputs) if by_hand else None
            self.framework.synchronise(result)
        return Timed((time.perf_counter() - start) / timing.calls)

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
            return function(**inputs, **params, **extra)

        def tensors() -> dict[str, Any]:
            return {name: self.framework.from_numpy(array, task.device) for name, array in task.inputs.items()}

        def attempt(run: Callable[[dict[str, Any]], Any]) -> Any:
            inputs = tensors()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    result = run(inputs)
                    self.framework.synchronise(result)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                result = failure(error)
            modified.update(name for name, x in inputs.items() if self._changed(x, task.inputs[name]))
            return result

        if task.mode == "eager":
            for reduction in task.reductions:
                run = functools.partial(call, params=task.params, reduction=reduction)
                values[reduction] = self._returned(attempt(run))
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
            beside[reduction] = self._returned(derivative.value)
            if derivative.gradient is not None:
                gradients[reduction] = self._numbers(derivative.gradient)

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
            gradients[reduction] = found if isinstance(found, Failure) else self._numbers(found)

    def _numbers(self, gradient: Mapping[str, Any]) -> Mapping[str, Array] | Failure:
        try:
            return {name: self.framework.to_numpy(x) for name, x in gradient.items() if x is not None}
        except Exception as error:
            return failure(error)

    def _changed(self, x: Any, original: Array) -> bool:
        try:
            now = self.framework.to_numpy(x)
        except Exception:
            return True
        return now.dtype != original.dtype or now.shape != original.shape or now.tobytes() != original.tobytes()

    def _returned(self, x: Any) -> Outcome:
        if isinstance(x, Failure):
            return x
        try:
            native, dtype, shape, device = self.framework.describe(x)
            if native:
                return Returned(self.framework.to_numpy(x), True, dtype, shape, device)
            number = isinstance(x, (int, float)) and not isinstance(x, bool)
            return Returned(np.asarray(x, dtype=np.float64) if number else None, False, type(x).__name__, shape, device)
        except Exception as error:
            return failure(error)

    # -- probes ------------------------------------------------------------------------------------------------------

    def probed(self, probe: Probe) -> Probed:
        function = self.implementations[probe.impl].losses[probe.loss]
        outcomes: list[tuple[str, Outcome]] = []
        for call in probe.calls:
            if probe.layouts:
                outcomes += self._layouts(function, call, probe.device)
            else:
                keywords = {k: self._tensor(v, probe.device) for k, v in call.items()}
                outcomes.append(("", self._attempt(function, keywords)))
        return Probed(outcomes)

    def _layouts(self, function: Callable[..., Any], call: Mapping[str, Any], device: str) -> list[tuple[str, Outcome]]:
        variants: dict[str, dict[str, Any]] = {}
        for name, value in call.items():
            if isinstance(value, np.ndarray):
                for layout, tensor in self.framework.strided(value, device).items():
                    variants.setdefault(layout, {})[name] = tensor
        base = {k: self._tensor(v, device) for k, v in call.items()}
        return [(layout, self._attempt(function, {**base, **tensors})) for layout, tensors in variants.items()]

    def _tensor(self, value: Any, device: str) -> Any:
        return self.framework.from_numpy(value, device) if isinstance(value, np.ndarray) else value

    def _attempt(self, function: Callable[..., Any], keywords: Mapping[str, Any]) -> Outcome:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = function(**keywords)
                self.framework.synchronise(result)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return failure(error)
        return self._returned(result)


def _spread(function: Callable[..., Any], extra: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    return function(**inputs, **extra)


def serve(connection: Connection) -> None:
    """Answer messages until the connection closes."""
    start: Start = connection.recv()
    try:
        adapter = framework(start.framework)
        setup = adapter.setup()
        runner = Runner(load_all(start.source), adapter)
        hello = Hello(adapter.devices(), setup)
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
    """Take the connection from the inherited file descriptor and silence standard output."""
    connection = Connection(int(sys.argv[1]))
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 0)
    os.dup2(silence, 1)
    serve(connection)
    os._exit(0)  # a guest's threads and exit handlers must not keep the process


if __name__ == "__main__":
    main()
