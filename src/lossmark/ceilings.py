"""The limit of the machine: how fast its memory and arithmetic are here and now, at the footprint of the work timed.

Measured in the same run as what is held against it, in turn with it, because a shared machine's bandwidth varies by
more than what is to be seen. The kernels are NumPy's (maximum, copy, negation, exp), which release the interpreter
lock, on as many threads as the implementation has; the fastest of those that move the same bytes counts.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from .readings.cost import Cost
from .work import Array

CACHED = 1 << 12
"""Numbers of an array that stays in the first-level cache, for the rate of exp."""
REPEATED = 64
SIDE = 64
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


class Ceilings:
    """The machine's limit for work on ``inputs`` by ``threads`` threads, whose gradients are ``written``."""

    def __init__(self, inputs: Mapping[str, Array], written: Sequence[str], threads: int, cost: Cost):
        self._pool = ThreadPoolExecutor(threads)
        self._threads, self._cost = threads, cost
        self._inputs = [_words(array) for array in inputs.values()]
        self._sources = [_words(inputs[name]) for name in written]
        self._targets = [np.zeros_like(words) for words in self._sources]

    def measure(self) -> Limit:
        """The limit now."""
        read = _fastest(self._on_slices(np.max, self._inputs), self._on_slices(np.add.reduce, self._inputs))
        written = 0.0
        if self._targets:
            # reads the inputs once more, but for those without a gradient, which are few numbers
            copy = self._on_slices(lambda x, y: np.copyto(y, x), self._sources, self._targets)
            negative = self._on_slices(lambda x, y: np.negative(x, out=y), self._sources, self._targets)
            written = _fastest(copy, negative)
        # threads that take turns at small calls would measure the turns, so these are rates of one thread
        flops, exps = _peak() * self._threads, _exp_rate() * self._threads
        return Limit(read, written, self._cost.flops / flops, self._cost.transcendental / exps)

    def close(self) -> None:
        self._pool.shutdown()

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
    return CACHED * REPEATED / _fastest(lambda: deque((np.exp(numbers, out=out) for _ in range(REPEATED)), maxlen=0))


def _peak() -> float:
    """Operations per second of one thread in a product of matrices too small for BLAS to take several."""
    a = np.ones((SIDE, SIDE), np.float32)
    out = np.empty_like(a)
    return 2 * SIDE**3 * REPEATED / _fastest(lambda: deque((np.matmul(a, a, out) for _ in range(REPEATED)), maxlen=0))


def _words(array: Array) -> Array:
    """The array's bytes as numbers that the kernels have vector code for."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.float32) if flat.dtype == np.float64 else flat.view({4: np.float32, 2: np.int16}[flat.itemsize])


def _fastest(*kernels: Callable[[], object]) -> float:
    """Seconds of the fastest of some equal kernels, each the least of three calls."""
    least = float("inf")
    for kernel in kernels:
        for _ in range(3):
            start = time.perf_counter()
            kernel()
            least = min(least, time.perf_counter() - start)
    return least
