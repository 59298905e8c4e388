"""The second kind of answers: by an implementation in this very process, which nothing protects from it.

For a test that others run among theirs: what is handed over is an object, which no other process could load. The
numeric set-up of its framework is strict while it answers, and as it was after that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..adapters.implementation import Implementation
from ..checks.prepared import Prepared
from ..checks.run import Run
from ..sandbox.global_state import GlobalState
from ..sandbox.messages import Answer, Failure, Message, Outcome, Probed, Reply
from ..sandbox.work_queue import Served
from ..sandbox.worker import Runner


class InProcess:
    """Answers for one implementation, in the order in which it is asked."""

    def __init__(self, implementation: Implementation):
        self._implementation = implementation
        self._runner: Runner | None = None

    def expect(self, runs: Sequence[Run]) -> None:
        """Nothing is planned."""

    def judged(self, run: Run) -> None:
        """Nothing is ended."""

    def ahead(self, runs: Sequence[Run], prepare: Callable[[Run], Prepared]) -> None:
        """Nothing is answered before it is asked for."""

    def ordinary(self, prepared: Prepared) -> Served:
        """The answer to a run's own message."""
        return Served(self._answered(prepared.task))

    def to(self, message: Message, run: Run, check: str) -> Served:
        """The answer to another message, which a check of a run has."""
        return Served(self._answered(message))

    def close(self) -> None:
        """Nothing is open."""

    def _answered(self, message: Message) -> Reply:
        adapter = self._implementation.framework
        restore = adapter.restoring()
        adapter.setup()
        try:
            if self._runner is None:
                state = GlobalState(adapter, ())
                state.loaded()
                self._runner = Runner([self._implementation], adapter, state)
            reply = self._runner.reply(message)
        finally:
            restore()
        if any(isinstance(one, Failure) and one.type == "KeyboardInterrupt" for one in _outcomes(reply)):
            raise KeyboardInterrupt  # the person's, which a worker would take for its guest's
        return reply


def _outcomes(reply: Reply) -> Iterable[Outcome | object]:
    if isinstance(reply, Answer):
        return (*reply.values.values(), *reply.gradients.values(), *reply.beside.values())
    return reply.outcomes if isinstance(reply, Probed) else ()
