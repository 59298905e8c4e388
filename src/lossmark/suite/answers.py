"""The second step of a run: its message is answered by the implementation, in a process of its own."""

from __future__ import annotations

import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ..adapters.registry import Reference
from ..checks.prepared import Prepared
from ..checks.run import Run
from ..sandbox.living import Living
from ..sandbox.messages import Failure, Message, Reply
from ..sandbox.turns import Turns
from ..sandbox.work_queue import Lane, Served
from .patience import Patience

TURNS = Turns((os.cpu_count() or 2) + 2)
"""Lanes that may compute at the same time."""
LANES_AHEAD = 16
"""Lanes that may have begun to work ahead and not been judged: a file may hold a hundred implementations."""


class NoAnswer(Exception):  # noqa: N818 (an outcome, not an error)
    """A message got no answer: the process crashed, hung or could not be started."""

    def __init__(self, failure: Failure):
        super().__init__(str(failure))
        self.failure = failure


class Answering(Protocol):
    """Whoever answers the messages of runs: the processes of implementations, or this very process."""

    def expect(self, runs: Sequence[Run]) -> None:
        """These runs will be judged in this order."""

    def judged(self, run: Run) -> None:
        """A run was judged."""

    def ahead(self, runs: Sequence[Run], prepare: Callable[[Run], Prepared]) -> None:
        """These runs may be answered before anybody asks."""

    def ordinary(self, prepared: Prepared) -> Served:
        """The answer to a run's own message."""

    def to(self, message: Message, run: Run, check: str) -> Served:
        """The answer to another message, which a check of a run has."""

    def close(self) -> None:
        """Nothing more will be asked."""


class Answers:
    """The processes of all implementations, each in a lane of its own.

    lossmark's own implementations of a framework share a process; ``shared`` gives one to all implementations of a
    file. Nothing else does, so that nothing an implementation does touches another. What crashes or times out is asked
    once more, in a new process and while no other computes, before it is blamed.
    """

    def __init__(self, *, shared: bool = False):
        self._shared = shared
        self._living = Living()
        self._lanes: dict[tuple[str, ...], Lane] = {}
        self._last: deque[tuple[int, tuple[str, ...]]] = deque()
        self._places: dict[int, int] = {}
        self._later: deque[Lane] = deque()
        self._ahead: list[Lane] = []
        self._lock = threading.RLock()
        self._patience = Patience()
        self._closed = False

    def expect(self, runs: Sequence[Run]) -> None:
        """These runs will be judged in this order: a process whose last one was judged is needed no more."""
        self._places = {id(run): place for place, run in enumerate(runs)}
        last = {self._process(run.target.reference): place for place, run in enumerate(runs)}
        self._last = deque(sorted((place, process) for process, place in last.items()))

    def judged(self, run: Run) -> None:
        """A run was judged: end the processes that have no further one."""
        place = self._places.get(id(run), -1)
        with self._lock:
            while self._last and self._last[0][0] <= place:
                lane = self._lanes.pop(self._last.popleft()[1], None)
                if lane is not None:
                    lane.close()
            self._begin()

    def ahead(self, runs: Sequence[Run], prepare: Callable[[Run], Prepared]) -> None:
        """Have the ordinary messages of these runs answered in this order, before anybody asks.

        Each run is prepared when its turn comes: the families of a whole plan would not fit into memory.
        """
        for run in runs:
            message = functools.partial(_task, run, prepare)
            self._lane(run.target.reference).plan(id(run), functools.partial(self._served, run, "", message))
        with self._lock:
            self._later = deque(self._lanes.values())
            self._begin()

    def ordinary(self, prepared: Prepared) -> Served:
        """The answer to a run's own message, which may have been made ahead."""
        run = prepared.run
        return self._lane(run.target.reference).ask(
            functools.partial(self._served, run, "", lambda: prepared.task), id(run)
        )

    def to(self, message: Message, run: Run, check: str) -> Served:
        """The answer to another message, which a check of a run has."""
        return self._lane(run.target.reference).ask(functools.partial(self._served, run, check, lambda: message))

    def close(self) -> None:
        """End every process."""
        self._closed = True
        with self._lock:
            for lane in self._lanes.values():
                lane.close()

    def _begin(self) -> None:
        """Let the next lanes work ahead, in the order of the plan, in the places of those that are closed."""
        self._ahead = [lane for lane in self._ahead if not lane.closed]
        while self._later and len(self._ahead) < LANES_AHEAD:
            lane = self._later.popleft()
            lane.start()
            self._ahead.append(lane)

    def _process(self, reference: Reference) -> tuple[str, ...]:
        return reference.together if self._shared else reference.process

    def _lane(self, reference: Reference) -> Lane:
        process = self._process(reference)
        with self._lock:
            if process not in self._lanes:
                self._lanes[process] = Lane(reference, self._living)
            return self._lanes[process]

    def _served(self, run: Run, check: str, message: Callable[[], Message]) -> Served:
        """The answer to a message, which is made when its turn comes; in a second try if the first has none."""
        over = self._patience.over(run.target.reference, check)
        if over:
            return Served(Failure("crashed", "", over))
        with TURNS.beside():
            first = self._asked(run, message)
        if not _lost(first):
            return Served(first)
        with TURNS.alone():
            if self._closed:  # the process was ended, and nobody needs another
                return Served(first)
            second = self._asked(run, message)
        if _lost(second):
            self._patience.lost(run.target.reference, check)
        return Served(second, retried=str(first))

    def _asked(self, run: Run, message: Callable[[], Message]) -> Reply | Failure:
        worker = self._lane(run.target.reference).worker
        hello = worker.start()
        if not hello.error and run.device not in hello.devices:
            return Failure("fell back", "", f"{run.target.reference.framework} sees no {run.device}")
        return worker.ask(message())


class Talk:
    """The messages of one check to its implementation; ``retried`` says why one of them was asked twice."""

    def __init__(self, answers: Answering, run: Run, check: str):
        self._answers, self._run, self._check = answers, run, check
        self.retried = ""

    def __call__(self, message: Message) -> Reply:
        """The reply to a message; raises :class:`NoAnswer`."""
        served = self._answers.to(message, self._run, self._check)
        self.retried = self.retried or served.retried
        if isinstance(served.found, Failure):
            raise NoAnswer(served.found)
        return served.found


def _task(run: Run, prepare: Callable[[Run], Prepared]) -> Message:
    return prepare(run).task


def _lost(found: Reply | Failure) -> bool:
    """Whether the process was lost."""
    return isinstance(found, Failure) and found.kind in ("crashed", "timed out")
