"""How long a message may take a worker: by the processor time that it uses, never by the clock on the wall.

A wall clock runs out while neighbours compute, and then a right implementation is accused. Here are two clocks that no
neighbour can advance:

- The *processor time* of the worker and of whatever it has started. A neighbour only makes it pass more slowly. It
  counts as one processor's at most, so that many threads, which may wait by spinning, do not use up in an instant what
  one thread has ten seconds for.
- The *idle time*, in which none of them computed or could have: a sleep, a deadlock. A process that waits for a
  processor looks idle to a clock, but it is runnable, and that is not idle. Where the judge gets no processor itself,
  or the machine is suspended, its looks come late; a late look counts like two punctual ones.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

LOOK_SECONDS = 0.25
"""The time between two looks at a worker that computes."""
SCAN_SECONDS = 1.0
"""The time between two looks at all processes of the system, which tell what a worker has started."""
LEAST_SHARE = 0.05
"""The share of a processor below which a worker is idle: a thread that wakes up to look around is no work."""


@dataclass(frozen=True)
class Limits:
    """Seconds of processor time for a message, which asks for what one or a few cells need, and of idle time."""

    cell: float = 10.0
    compiling: float = 90.0
    """Added to ``cell`` where a program may have to be compiled first."""
    idle: float = 60.0
    starting: float = 120.0
    """For starting, in which the framework and the implementation are loaded."""
    starting_idle: float = 300.0
    """The idle time of starting, which reads from a disk that others use too."""


class Computing(Protocol):
    """What a clock is told about processes."""

    def seconds(self) -> float:
        """The processor time that they have used so far; less than before where some of them have ended."""

    def runnable(self) -> bool:
        """Whether one of them computes, or waits for nothing but a processor."""


class Clock:
    """The time that one message takes; ``used`` and ``idle`` are the seconds on its two clocks.

    ``seconds`` and ``idle_seconds`` are the limits. The clock has to be asked every :data:`LOOK_SECONDS`.
    """

    def __init__(
        self,
        processes: Computing,
        seconds: float,
        idle_seconds: float,
        now: Callable[[], float] = time.monotonic,
    ):
        self._processes, self._now = processes, now
        self._limits = seconds, idle_seconds
        self._then, self._before = now(), processes.seconds()
        self.used = self.idle = 0.0

    def over(self) -> str:
        """Why the time is over, in words; empty as long as it is not."""
        now, seconds = self._now(), self._processes.seconds()
        passed = now - self._then
        used = min(passed, max(0.0, seconds - self._before))
        self._then, self._before = now, seconds
        self.used += used
        busy = passed if used < LEAST_SHARE * passed and self._processes.runnable() else used
        self.idle = max(0.0, self.idle + min(passed, 2 * LOOK_SECONDS) - busy / LEAST_SHARE)
        most, most_idle = self._limits
        if self.used >= most:
            return f"no result within {most:g} s of processor time"
        return f"no result, and no processor time used for {most_idle:g} s" if self.idle >= most_idle else ""


class Processes:
    """A worker and whatever it has started: its session, its descendants, and those of them that have left both.

    Only what leaves both between two looks is missed; then the worker that waits for it is idle.
    """

    def __init__(self, leader: int):
        self._leader = leader
        self._members: set[psutil.Process] = set()
        self._scanned = -math.inf

    def look(self) -> None:
        """Find out which processes there are now; what the other methods say is about these.

        New ones are looked for every :data:`SCAN_SECONDS`.
        """
        self._members = {process for process in self._members if process.is_running()}
        if time.monotonic() >= self._scanned + SCAN_SECONDS:
            self._scanned = time.monotonic()
            self._scan()

    def _scan(self) -> None:
        """Add the processes that are new."""
        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(self._leader)
            self._members |= {leader, *leader.children(recursive=True)}
        for pid in set(psutil.pids()) - {process.pid for process in self._members}:
            with contextlib.suppress(OSError, psutil.Error):
                if os.getsid(pid) == self._leader:
                    self._members.add(psutil.Process(pid))

    def end(self, alive: bool) -> None:
        """End those that are left, in whatever session; ``alive``: whether the leader's number is still its own."""
        if alive:
            self._scan()
        for process in self._members:
            with contextlib.suppress(psutil.Error):  # which it raises, too, where the number is another's by now
                process.kill()

    def seconds(self) -> float:
        """The processor time that they and their children that have ended used, user and system."""
        total = 0.0
        for process in self._members:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory(self) -> int:
        """Their resident memory in bytes."""
        total = 0
        for process in self._members:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def runnable(self) -> bool:
        """Whether a thread of them computes, or waits for nothing but a processor."""
        return any(map(_runnable, self._members))


def _runnable(process: psutil.Process) -> bool:
    """On Linux the state of each thread; elsewhere that of the process."""
    threads = list(Path(f"/proc/{process.pid}/task").glob("*/stat"))
    with contextlib.suppress(OSError, psutil.Error):
        return any(map(_running, threads)) if threads else process.status() == psutil.STATUS_RUNNING
    return False


def _running(stat: Path) -> bool:
    """Whether the state of a thread, which follows its name in brackets, is R: running, or in the queue for it."""
    with contextlib.suppress(OSError):
        return stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] == "R"
    return False
