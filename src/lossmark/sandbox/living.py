"""What all workers may take together: the memory of those that live, and of the answers that wait for the judge.

A worker that nobody uses is ended for another that is asked, the least recently used first; when it is asked again, it
is started anew. Each framework that is in use keeps one.
"""

from __future__ import annotations

import os
import threading
from collections import Counter, OrderedDict

import psutil

from ..adapters.installed import runtime
from .guarded import Guarded

WORKERS_BYTES = min(6 << 30, psutil.virtual_memory().total // 4)
"""Resident memory that the workers may have together, those of all processes of pytest-xdist."""
HELD_BYTES = 256 << 20
"""Answers that may wait for the judge."""


def workers_bytes() -> int:
    """This process's share of the memory for workers: the processes of pytest-xdist share it alike."""
    return WORKERS_BYTES // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


class Living:
    """The workers that live. ``changed`` guards it: who calls a method, or reads ``held``, holds it.

    ``held`` are the bytes of the answers that wait for the judge. A worker is used from :meth:`begin` to
    :meth:`finish`, and is not ended for another meanwhile.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.held = 0
        self._most = workers_bytes()
        self._bytes: OrderedDict[Guarded, int] = OrderedDict()
        self._used: set[Guarded] = set()
        self._largest: dict[str, int] = {}

    def admits(self, worker: Guarded) -> bool:
        """Whether a worker can be used without another's being ended for it."""
        return worker in self._bytes or self._fits(worker) or not self._alike(worker)

    def begin(self, worker: Guarded) -> None:
        """Use a worker; of those that are idle so many are ended that it fits in, if that is possible."""
        self._used.add(worker)
        alike = Counter(other.reference.framework for other in {*self._bytes, worker})
        for other in [other for other in self._bytes if other not in self._used]:
            if self._fits(worker):
                break
            if alike[other.reference.framework] > 1:
                alike[other.reference.framework] -= 1
                self.end(other)
        self._bytes[worker] = self._needs(worker)
        self._bytes.move_to_end(worker)

    def finish(self, worker: Guarded, size: int) -> None:
        """A worker is idle now, with ``size`` bytes of resident memory; 0 if it has ended."""
        self._used.discard(worker)
        name = worker.reference.framework
        self._largest[name] = max(size, self._largest.get(name, 0))
        shrunk = size < self._bytes.get(worker, 0)
        if size:
            self._bytes[worker] = size
        else:
            self._bytes.pop(worker, None)
        if shrunk:
            self.changed.notify_all()

    def end(self, worker: Guarded) -> None:
        """End a worker."""
        worker.stop()
        if self._bytes.pop(worker, None) is not None:
            self.changed.notify_all()

    def release(self, size: int) -> None:
        """The judge has taken an answer of so many bytes."""
        full = self.held >= HELD_BYTES
        self.held -= size
        if full:
            self.changed.notify_all()

    def _needs(self, worker: Guarded) -> int:
        """What a worker takes, or will take: as much as the largest of its framework so far."""
        name = worker.reference.framework
        return self._bytes.get(worker) or self._largest.get(name) or runtime(name).worker_bytes

    def _fits(self, worker: Guarded) -> bool:
        others = sum(size for other, size in self._bytes.items() if other is not worker)
        return others + self._needs(worker) <= self._most

    def _alike(self, worker: Guarded) -> bool:
        """Whether another worker of its framework lives."""
        return any(other.reference.framework == worker.reference.framework for other in self._bytes)
