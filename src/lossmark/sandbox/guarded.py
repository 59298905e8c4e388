"""A process of code under test under watch: started, looked after, ended.

What it is sent and what it sends is the business of those that stand on this: ``process`` for Python in lossmark's own
messages, ``command`` for programs of any language.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

import psutil

from ..adapters.registry import Reference
from .limits import Clock, Limits, Processes
from .messages import Failure, Hello, Message, Reply, Task
from .schema import Unfit

MEMORY_BYTES = min(12 << 30, psutil.virtual_memory().total // 2)
STDERR_BYTES = 64 << 20
"""A worker that holds more memory, or writes more to its standard error during one message, is stopped."""
BELOW_THE_JUDGE = 5
"""The niceness of workers: several compute ahead, and one process judges what they all give."""
CELLS, MANY_ROWS = 4, 1 << 11
"""The cells that a task is for, and the examples beyond which it has the time of all of them, not of one: a right loop
over the rows takes as long as there are rows."""


class _Stopped(Exception):  # noqa: N818 (an outcome, not an error)
    """A message takes more than there is for it."""

    def __init__(self, failure: Failure):
        super().__init__(str(failure))
        self.failure = failure


class Guarded(ABC):
    """The process of an implementation. Not safe for use by several threads at once.

    ``environment`` is added to the variables of this process. ``hello`` is what a running process said of itself.
    """

    limits = Limits()
    """What a message may take; another worker, or all of them, may be given others."""

    def __init__(self, reference: Reference, environment: Mapping[str, str] | None = None):
        self.reference = reference
        self.hello: Hello | None = None
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._processes: Processes | None = None
        self._watch: int | None = None
        self._stderr: IO[bytes] | None = None

    def start(self) -> Hello:
        """Start the process if it is not running; returns what it says of itself, or why it cannot work.

        One that cannot work is not started again before :meth:`stop`.
        """
        if self.hello is None or not (self.hello.error or self._runs()):
            self.stop()
            self.hello = self._greeted()
        return self.hello

    @abstractmethod
    def ask(self, message: Message) -> Reply | Failure:
        """The reply to a message, or how the process was lost: a crash or a hang costs this message only."""

    @abstractmethod
    def _greeted(self) -> Hello:
        """Start the process; returns what it says of itself."""

    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _launch(self, script: str, words: Sequence[str], stdin: int, stdout: int) -> None:
        """Start a shell's ``script``; the descriptors become its standard input and output, and are closed here.

        Its standard error is a pipe that is closed when the judge ends, its first argument the file that takes the
        standard error of what it starts, the other arguments are ``words``.
        """
        watched, self._watch = os.pipe()
        self._stderr = tempfile.NamedTemporaryFile(prefix="lossmark-")  # noqa: SIM115 (lives as long as the process)
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", script, "sh", self._stderr.name, *words], stdin=stdin, stdout=stdout, stderr=watched,
                env=os.environ | self._environment, start_new_session=True,
            )  # fmt: skip
        finally:
            for descriptor in {stdin, stdout, watched}:
                os.close(descriptor)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PGRP, self._process.pid, BELOW_THE_JUDGE)
        self._processes = Processes(self._process.pid)

    def _seconds(self, message: Message) -> float:
        """The processor time that there is for a message."""
        many = isinstance(message, Task) and len(message.cotangent) > MANY_ROWS
        return (CELLS if many else 1) * self.limits.cell

    def _watched(self, talk: Callable[[Callable[[], None]], Any], seconds: float, idle_seconds: float) -> Any:
        """What ``talk`` gives, or a failure: the process died, sent no reply, took too much time or memory.

        ``talk`` takes the look at the process that it has to have while it waits. ``seconds`` are of processor time,
        from the first look on; the time of ``idle_seconds`` without any is too much.
        """
        assert self._processes is not None
        try:
            found = talk(functools.partial(self._look, self._processes, [], seconds, idle_seconds))
            self._make_room()
            return found
        except _Stopped as stopped:
            return stopped.failure
        except Unfit as error:
            return Failure("crashed", "", f"stopped: it sent what is no reply: {error}")
        except (OSError, EOFError, ValueError) as error:  # closed at one of its ends
            return self._ended() if self._wait() is not None else Failure("crashed", "", f"{error}")

    def _lost(self, failure: Failure) -> Failure:
        self.stop()
        return failure

    def _look(self, processes: Processes, clocks: list[Clock], seconds: float, idle_seconds: float) -> None:
        """Raise :class:`_Stopped` if a message takes too much; ``clocks`` gets its clock at the first look."""
        processes.look()
        if not clocks:
            clocks.append(Clock(processes, seconds, idle_seconds))
        if over := clocks[0].over():
            raise _Stopped(Failure("timed out", "", over))
        if processes.memory() > MEMORY_BYTES:
            raise _Stopped(Failure("crashed", "", f"stopped: more than {MEMORY_BYTES >> 30} GiB of memory"))
        if self._written() > STDERR_BYTES:
            raise _Stopped(Failure("crashed", "", f"stopped: more than {STDERR_BYTES >> 20} MiB of standard error"))

    def _ending(self) -> str:
        """How the process ended; a shell says 128 + n for signal n."""
        assert self._process is not None
        code = self._process.returncode
        killed = code is not None and (code < 0 or code > 128)
        return f"signal {-code if code < 0 else code - 128}" if killed else f"exit code {code}"

    def _ended(self) -> Failure:
        return Failure("crashed", "", f"the process ended ({self._ending()}){self._last_words()}")

    def _make_room(self) -> None:
        """Leave room for what is written to the standard error, to which all that write append."""
        assert self._stderr is not None
        if self._written() > 1 << 20:
            self._stderr.truncate(0)

    def _written(self) -> int:
        assert self._stderr is not None
        return os.fstat(self._stderr.fileno()).st_size

    def _wait(self) -> int | None:
        assert self._process is not None
        try:
            return self._process.wait(5)
        except subprocess.TimeoutExpired:
            return None

    def _last_words(self) -> str:
        assert self._stderr is not None
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 300))
        lines = self._stderr.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f": {last[:200]}" if last else ""

    def memory(self) -> int:
        """The resident memory of the process and of what it has started, in bytes; 0 if it does not run."""
        process, processes = self._process, self._processes
        if process is None or processes is None or process.poll() is not None:
            return 0
        processes.look()
        return processes.memory()

    @abstractmethod
    def _hang_up(self) -> None:
        """Close the connection to the process, if there is one."""

    def stop(self) -> None:
        """End the process, if it runs."""
        if self._processes is not None:  # before it sees that nobody asks any more, and leaves what it started behind
            self._processes.end(self._runs())
        self._hang_up()
        if self._watch is not None:
            os.close(self._watch)  # ends whatever is left of the group
        if self._process is not None:
            if self._process.poll() is None:  # the number of one that was waited for may be another's by now
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._stderr is not None:
            self._stderr.close()
        self._process = self._processes = self._watch = self._stderr = None
        self.hello = None
