"""One graph used more than once: differentiated again, added up with another's, or beside another's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..adapters.framework import Call, Framework, Pullback
from .attempt import Attempt, Inputs, Slopes
from .messages import USES, Task


def reused(adapter: Framework, call: Call, attempt: Attempt, task: Task) -> Slopes:
    """The gradients of the task's first reduction in each of :data:`USES`, or why there are none."""
    reduction = task.reductions[0]
    weights = adapter.from_numpy(task.cotangent, task.device) if reduction == "none" else None

    def graph(inputs: Inputs) -> Pullback:
        return adapter.pullback(call, reduction, inputs, task.wrt, task.params)

    def other() -> Pullback:
        return graph({name: attempt.tensor(array) for name, array in task.others.items()})

    def once(inputs: Inputs) -> Any:
        return graph(inputs)(weights, {})

    def again(inputs: Inputs) -> Any:
        differentiate = graph(inputs)
        differentiate(weights, {})
        return differentiate(weights, {})

    def accumulated(inputs: Inputs) -> Any:
        return graph(inputs)(weights, graph(inputs)(weights, {}))

    def before(inputs: Inputs) -> Any:
        here, there = graph(inputs), other()
        found = here(weights, {})
        there(weights, {})
        return found

    def after(inputs: Inputs) -> Any:
        here, there = graph(inputs), other()
        here(weights, {})
        return there(weights, {})

    uses: tuple[Callable[[Inputs], Any], ...] = (once, again, accumulated, before, after)
    return {use: attempt.gradient(run) for use, run in zip(USES, uses, strict=True)}
