"""A queue of work, with a thread, for each worker process, so that frameworks compute while others are judged.

What is asked for now goes before what is planned. Planned jobs are done in order, as long as the answers that wait for
the judge stay within a limit of memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass

import numpy as np

from ..adapters.installed import framework
from ..adapters.registry import Reference
from ..cache import programs_folder
from .messages import Answer, Failure, Reply
from .process import Worker

HELD_BYTES = 512 << 20
"""Answers of one lane that may wait for the judge."""


@dataclass(frozen=True)
class Served:
    """What a job has come to; ``retried`` says why it was tried twice, and is empty if it was not."""

    found: Reply | Failure
    retried: str = ""


Job = Callable[[], Served]
"""Something to do with the worker, such as sending a message and waiting for its reply."""


class Lane:
    """One implementation's worker with the jobs that it has been given."""

    def __init__(self, reference: Reference):
        self.worker = Worker(reference, _keeping(reference))
        self._urgent: deque[tuple[Job, Future[Served]]] = deque()
        self._planned: OrderedDict[int | None, Job] = OrderedDict()
        self._answers: dict[int | None, Future[Served]] = {}
        self._held = 0
        self._closed = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def plan(self, key: int, job: Job) -> None:
        """Have a job done ahead of its being asked for under ``key``."""
        with self._wake:
            self._planned[key] = job
            self._wake.notify()

    def ask(self, job: Job, key: int | None = None) -> Served:
        """The answer to a job: the one planned under ``key`` if there is one, else it is done next.

        Raises :class:`concurrent.futures.CancelledError` if the lane is closed before there is one.
        """
        with self._wake:
            if self._closed:
                raise CancelledError
            if not self._thread.is_alive():
                self._thread.start()
            future = self._answers.pop(key, None)
            if future is None:
                future = Future()
                self._urgent.append((self._planned.pop(key, job), future))
                self._wake.notify()
        answer = future.result()
        with self._wake:
            self._held -= _bytes(answer)
            self._wake.notify()
        return answer

    def start(self) -> None:
        """Begin with what is planned."""
        self._thread.start()

    def close(self) -> None:
        """End the worker and drop what is left: an :meth:`ask` that still waits raises CancelledError."""
        with self._wake:
            self._closed = True
            for _, future in self._urgent:
                future.cancel()
            self._wake.notify()
        self.worker.stop()

    def _next(self) -> tuple[Job, Future[Served]] | None:
        with self._wake:
            while not self._closed:
                if self._urgent:
                    return self._urgent.popleft()
                if self._planned and self._held < HELD_BYTES:
                    key, job = self._planned.popitem(last=False)
                    self._answers[key] = Future()
                    return job, self._answers[key]
                self._wake.wait()
        return None

    def _serve(self) -> None:
        while (item := self._next()) is not None:
            job, future = item
            try:
                answer = job()
            except BaseException as error:
                future.set_exception(error)
                continue
            with self._wake:
                self._held += _bytes(answer)
            future.set_result(answer)


def _keeping(reference: Reference) -> Mapping[str, str]:
    """The variables that have a worker keep its compiled programs.

    Only those of lossmark's own implementations: what code under test keeps could reach other processes.
    """
    adapter = framework(reference.framework)
    folder = programs_folder(adapter.distributions) if reference.own else None
    return {} if folder is None else adapter.keeping(folder)


def _bytes(served: Served) -> int:
    answer = served.found
    if not isinstance(answer, Answer):
        return 0
    arrays = [
        array for found in answer.gradients.values() if not isinstance(found, Failure) for array in found.values()
    ]
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
