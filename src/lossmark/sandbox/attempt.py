"""The calls that a task takes: each with inputs of its own, each ending in a result or in a failure."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ..adapters.framework import Call, Framework
from .messages import Array, Failure, Outcome, Task
from .readout import Readout, failure

Inputs = dict[str, Any]
"""Tensors by name of input."""
Slopes = dict[str | None, Mapping[str, Array] | Failure]
"""By reduction, or by use of a graph: the gradients by name of input, or why there are none."""


class Attempt:
    """One task on its way to an answer.

    Every call gets new tensors, so that none sees what another has done to them; an exception becomes a
    :class:`Failure`, and the names of inputs that a call has changed are kept in ``modified``.
    """

    def __init__(self, adapter: Framework, readout: Readout, task: Task):
        self._framework, self._readout, self._task = adapter, readout, task
        self.modified: set[str] = set()

    def tensor(self, array: Array) -> Any:
        """The array as a tensor on the task's device, in the task's memory layout where it can have that."""
        task = self._task
        if task.layout:
            found = self._framework.strided(array, task.device).get(task.layout) if array.ndim else None
            if found is not None:
                return found
        return self._framework.from_numpy(array, task.device)

    def result(self, run: Callable[[Inputs], Any]) -> Any:
        """What ``run`` gives for new inputs, once it is computed, or the :class:`Failure` that it ends in."""
        arrays = self._task.inputs
        inputs = {name: self.tensor(array) for name, array in arrays.items()}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = run(inputs)
                self._framework.synchronise(found)
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: nobody else raises them here
            found = failure(error)
        self.modified.update(name for name, x in inputs.items() if self._readout.changed(x, arrays[name]))
        return found

    def value(self, call: Call, reduction: str | None) -> Outcome:
        """The value of the loss under one reduction, as numbers."""
        return self._readout.returned(self.result(lambda inputs: call(inputs, self._task.params, reduction)))

    def gradient(self, run: Callable[[Inputs], Any]) -> Mapping[str, Array] | Failure:
        """The gradients by name of input that ``run`` gives, as numbers."""
        found = self.result(run)
        if not isinstance(found, (Failure, Mapping)):
            found = Failure("raised", "TypeError", f"the gradient must be a dict of arrays, got {type(found).__name__}")
        return found if isinstance(found, Failure) else self._readout.gradient(found)


def call_of(function: Callable[..., Any], task: Task) -> Call:
    """The loss as frameworks call it: inputs that are one tensor are, and the loss has the task's factor."""

    def call(inputs: Mapping[str, Any], params: Mapping[str, Any], reduction: str | None) -> Any:
        extra = {} if reduction is None else {"reduction": reduction}
        shared = {name: inputs[other] for name, other in task.aliases.items()}
        loss = function(**inputs, **shared, **params, **extra)
        return loss if task.factor == 1 else task.factor * loss

    return call
