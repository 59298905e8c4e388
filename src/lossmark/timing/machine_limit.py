"""The limit of the machine: how fast its memory and arithmetic are here and now, at the footprint of the work timed.

Measured in the same run as what is held against it, in turn with it, because a shared machine's bandwidth varies by
more than what is to be seen. The kernels are NumPy's (maximum, copy, negation, exp), which release the interpreter
lock, on as many threads as the implementation has; the fastest of those that move the same bytes counts.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..readings.cost import Cost
from ..sandbox.messages import Array, Streamed, Streaming
from ..sandbox.process import GaveUp, Worker

CACHED = 1 << 12
"""Numbers of an array that stays in the first-level cache, for the rate of exp."""
KERNEL_CALLS = 64
"""Calls of a kernel between two looks at the clock."""
SIDE = 64
"""Rows and columns of the matrices in the rate of arithmetic: too few for BLAS to take several threads."""
SERIAL_BYTES = 1 << 20
"""Bytes below which handing work to threads costs more than it saves."""
INVALID = 1.05
"""A share of the limit above this says that the limit was not measured rightly."""


@dataclass(frozen=True)
class Limit:
    """Seconds that a call takes at least, by what it is made of."""

    read: float
    written: float
    arithmetic: float
    transcendental: float

    @property
    def seconds(self) -> float:
        """Memory, arithmetic and exp can go on at the same time: the slowest of them rules."""
        return max(self.read + self.written, self.arithmetic, self.transcendental)


class DeviceCeiling:
    """The limit of a device's memory, from copies that a framework makes there: ``worker`` has a stage on it."""

    def __init__(self, worker: Worker, cost: Cost):
        self._worker, self._cost = worker, cost

    def measure(self) -> Limit:
        """The limit now; nan if the worker is lost. Beside the memory of a GPU arithmetic takes no time."""
        bandwidth = float("nan")
        with contextlib.suppress(GaveUp):
            found = self._worker.run(Streaming())
            bandwidth = found.bandwidth if isinstance(found, Streamed) else bandwidth
        return Limit(self._cost.bytes / bandwidth, 0.0, 0.0, 0.0)

    def close(self) -> None:
        """Do nothing: the worker is not this object's own."""


class Ceilings:
    """The machine's limit for work on ``batches`` of inputs in turn, whose gradients by ``written`` are results.

    ``threads`` is the number of threads that the work has, ``cost`` the least that a call of it has to do.
    """

    def __init__(self, batches: Sequence[Mapping[str, Array]], written: Sequence[str], threads: int, cost: Cost):
        small = sum(array.nbytes for array in batches[0].values()) < SERIAL_BYTES
        self._threads = 1 if small else threads
        self._pool = ThreadPoolExecutor(self._threads)
        self._cost = cost
        self._inputs = [[_words(array) for array in batch.values()] for batch in batches]
        self._sources = [[_words(batch[name]) for name in written] for batch in batches]
        self._targets = [np.zeros_like(words) for words in self._sources[0]]

    def measure(self) -> Limit:
        """The limit now."""
        read = _fastest(*(self._turns(kernel, self._inputs) for kernel in (np.max, np.add.reduce)))
        written = 0.0
        if self._targets:
            # reads the inputs once more, but for those without a gradient, which are few numbers
            copies = (lambda x, y: np.copyto(y, x), lambda x, y: np.negative(x, out=y))
            written = _fastest(*(self._turns(kernel, self._sources, self._targets) for kernel in copies))
        # threads that take turns at small calls would measure the turns, so these are rates of one thread
        flops, exps = _peak() * self._threads, _exp_rate() * self._threads
        return Limit(read, written, self._cost.flops / flops, self._cost.transcendental / exps)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _turns(
        self, kernel: Callable[..., object], batches: Sequence[Sequence[Array]], *others: Sequence[Array]
    ) -> list[Callable[[], None]]:
        return [self._on_slices(kernel, batch, *others) for batch in batches]

    def _on_slices(self, kernel: Callable[..., object], *arrays: Sequence[Array]) -> Callable[[], None]:
        def part(index: int) -> None:
            for group in zip(*arrays, strict=True):
                size = len(group[0])
                start, stop = index * size // self._threads, (index + 1) * size // self._threads
                if stop > start:
                    kernel(*(x[start:stop] for x in group))

        return self._run(part)

    def _run(self, part: Callable[[int], None]) -> Callable[[], None]:
        if self._threads == 1:
            return lambda: part(0)
        return lambda: deque(self._pool.map(part, range(self._threads)), maxlen=0).clear()


def _exp_rate() -> float:
    """Calls of exp per second of one thread, from the cache."""
    numbers = np.linspace(-1, 1, CACHED, dtype=np.float32)
    out = np.empty_like(numbers)
    return CACHED / _fastest([lambda: np.exp(numbers, out=out)] * KERNEL_CALLS)


def _peak() -> float:
    """Operations per second of one thread in a product of matrices too small for BLAS to take several."""
    a = np.ones((SIDE, SIDE), np.float32)
    out = np.empty_like(a)
    return 2 * SIDE**3 / _fastest([lambda: np.matmul(a, a, out)] * KERNEL_CALLS)


def _words(array: Array) -> Array:
    """The array's bytes as numbers that the kernels have vector code for."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.int16 if flat.itemsize == 2 else np.float32)


def _fastest(*kernels: Sequence[Callable[[], object]]) -> float:
    """Seconds of a call of the fastest of some kernels, each a sequence of calls that are made in turn, thrice."""
    least = float("inf")
    for _ in range(3):
        for calls in kernels:
            start = time.perf_counter()
            for call in calls:
                call()
            least = min(least, (time.perf_counter() - start) / len(calls))
    return least
