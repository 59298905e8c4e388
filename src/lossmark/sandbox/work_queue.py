"""A queue of work, with a thread, for each worker process, so that frameworks compute while others are judged.

What is asked for now goes before what is planned. Planned jobs are done in order, as long as workers and the answers
that wait for the judge stay within their limits of memory.
"""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass

import numpy as np

from ..adapters.installed import framework, runtime
from ..adapters.registry import Reference
from ..cache import programs_folder
from .command import CommandWorker
from .guarded import Guarded
from .living import HELD_BYTES, Living
from .messages import Answer, Failure, Reply
from .process import Worker


@dataclass(frozen=True)
class Served:
    """What a job has come to; ``retried`` says why it was tried twice, and is empty if it was not."""

    found: Reply | Failure
    retried: str = ""


Job = Callable[[], Served]
"""Something to do with the worker, such as sending a message and waiting for its reply."""


class Lane:
    """One implementation's worker with the jobs that it has been given; ``living`` bounds what all lanes take."""

    def __init__(self, reference: Reference, living: Living):
        self._temporary = tempfile.TemporaryDirectory(prefix="lossmark-", ignore_cleanup_errors=True)
        remote = runtime(reference.framework).remote
        variables = {"TMPDIR": self._temporary.name, **_keeping(reference)}
        self.worker: Guarded = (CommandWorker if remote else Worker)(reference, variables)
        self._living, self._changed = living, living.changed
        self._urgent: deque[tuple[Job, Future[Served]]] = deque()
        self._planned: OrderedDict[int | None, Job] = OrderedDict()
        self._answers: dict[int | None, Future[Served]] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def closed(self) -> bool:
        """Whether it takes no more jobs."""
        return self._closed

    def plan(self, key: int, job: Job) -> None:
        """Have a job done ahead of its being asked for under ``key``, once the lane is started."""
        with self._changed:
            self._planned[key] = job

    def ask(self, job: Job, key: int | None = None) -> Served:
        """The answer to a job: the one planned under ``key`` if there is one, else it is done next.

        Raises :class:`concurrent.futures.CancelledError` if the lane is closed before there is one.
        """
        with self._changed:
            if self._closed:
                raise CancelledError
            self.start()
            future = self._answers.pop(key, None)
            if future is None:
                future = Future()
                self._urgent.append((self._planned.pop(key, job), future))
                self._changed.notify_all()
        answer = future.result()
        with self._changed:
            self._living.release(_bytes(answer))
        return answer

    def start(self) -> None:
        """Begin with what is planned, if that has not begun."""
        with self._changed:
            if self._thread.ident is None:
                self._thread.start()

    def close(self) -> None:
        """End the worker and drop what is left: an :meth:`ask` that still waits raises CancelledError."""
        with self._changed:
            self._closed = True
            for _, future in self._urgent:
                future.cancel()
            for future in self._answers.values():
                if future.done() and future.exception() is None:
                    self._living.release(_bytes(future.result()))
            self._answers.clear()
            self._living.end(self.worker)
            self._temporary.cleanup()  # what a killed process cannot remove itself, such as AutoGraph's sources
            self._changed.notify_all()

    def _next(self) -> tuple[Job, Future[Served]] | None:
        """The next job, for which its worker may be used; None when the lane is closed."""
        with self._changed:
            while not self._closed:
                if self._urgent:
                    self._living.begin(self.worker)
                    return self._urgent.popleft()
                if self._planned and self._living.held < HELD_BYTES and self._living.admits(self.worker):
                    self._living.begin(self.worker)
                    key, job = self._planned.popitem(last=False)
                    self._answers[key] = Future()
                    return job, self._answers[key]
                self._changed.wait()
        return None

    def _serve(self) -> None:
        while (item := self._next()) is not None:
            job, future = item
            try:
                answer = job()
            except BaseException as error:
                self._idle(0)
                future.set_exception(error)
                continue
            self._idle(_bytes(answer))
            future.set_result(answer)
        with self._changed:
            self._living.end(self.worker)

    def _idle(self, held: int) -> None:
        """Its worker is used no more, and has given an answer of so many bytes."""
        size = self.worker.memory()
        with self._changed:
            self._living.held += held
            self._living.finish(self.worker, size)


def _keeping(reference: Reference) -> Mapping[str, str]:
    """The variables that have a worker keep its compiled programs.

    Only those of lossmark's own implementations: what code under test keeps could reach other processes.
    """
    if not reference.own:
        return {}
    adapter = framework(reference.framework)
    folder = programs_folder(adapter.distributions)
    return {} if folder is None else adapter.keeping(folder)


def _bytes(served: Served) -> int:
    answer = served.found
    if not isinstance(answer, Answer):
        return 0
    arrays = [
        array for found in answer.gradients.values() if not isinstance(found, Failure) for array in found.values()
    ]
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
