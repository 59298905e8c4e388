"""The second step of a run: its message is answered by the implementation, in a process of its own."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence

from ..adapters.registry import Reference
from ..checks.prepared import Prepared
from ..checks.run import Run
from ..sandbox.process import GaveUp
from ..sandbox.work_queue import Lane
from ..work import Failure, Message, Reply


class NoAnswer(Exception):  # noqa: N818 (an outcome, not an error)
    """A message got no answer: the process crashed, hung or could not be started."""

    def __init__(self, failure: Failure):
        super().__init__(str(failure))
        self.failure = failure


class Answers:
    """The processes of all implementations, each in a lane of its own.

    lossmark's own implementations of a framework share a process; ``shared`` gives one to all implementations of a
    file. Nothing else does, so that nothing an implementation does touches another.
    """

    def __init__(self, *, shared: bool = False):
        self._shared = shared
        self._lanes: dict[tuple[str, ...], Lane] = {}
        self._lock = threading.Lock()

    def ahead(self, runs: Sequence[Run], prepare: Callable[[Run], Prepared]) -> None:
        """Have the ordinary messages of these runs answered in this order, before anybody asks.

        Each run is prepared when its turn comes: the families of a whole plan would not fit into memory.
        """
        for run in runs:
            self._lane(run.target.reference).plan(id(run), functools.partial(self._prepared, run, prepare))
        for lane in self._lanes.values():
            lane.start()

    def ordinary(self, prepared: Prepared) -> Reply | Failure:
        """The answer to a run's own message, which may have been made ahead."""
        lane = self._lane(prepared.run.target.reference)
        return lane.ask(functools.partial(self._compute, prepared), id(prepared.run))

    def ask(self, prepared: Prepared, message: Message) -> Reply:
        """The answer to any other message; raises :class:`NoAnswer`."""
        lane = self._lane(prepared.run.target.reference)
        found = lane.ask(functools.partial(self._send, prepared, message))
        if isinstance(found, Failure):
            raise NoAnswer(found)
        return found

    def close(self) -> None:
        """End every process."""
        for lane in self._lanes.values():
            lane.close()

    def _lane(self, reference: Reference) -> Lane:
        key = reference.together if self._shared or reference.own else (reference.source, reference.name)
        with self._lock:
            if key not in self._lanes:
                self._lanes[key] = Lane(reference)
            return self._lanes[key]

    def _prepared(self, run: Run, prepare: Callable[[Run], Prepared]) -> Reply | Failure:
        return self._compute(prepare(run))

    def _compute(self, prepared: Prepared) -> Reply | Failure:
        return self._send(prepared, prepared.task)

    def _send(self, prepared: Prepared, message: Message) -> Reply | Failure:
        run, worker = prepared.run, self._lane(prepared.run.target.reference).worker
        hello = worker.hello if worker.strikes else None
        try:
            hello = hello or worker.start()
            if not hello.error and run.device not in hello.devices:
                return Failure("fell back", "", f"{run.target.reference.framework} sees no {run.device}")
            return worker.run(message)
        except GaveUp as error:
            return Failure("crashed", "", str(error))
