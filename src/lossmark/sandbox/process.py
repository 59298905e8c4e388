"""Worker processes, as the process that judges holds them.

There is one for each implementation, or for each file. It is started when it is needed, replaced when it dies, and
stopped when a message takes it more time or memory than there is for it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import IO, Any

import psutil

from ..adapters.installed import framework
from ..adapters.registry import Reference
from .channel import Channel
from .limits import Clock, Limits, Processes
from .messages import (
    Failure,
    Hello,
    Message,
    Probe,
    Reply,
    Start,
    Streaming,
    Task,
    Timing,
    Watch,
    Weighing,
    fits,
    reply_kind,
)
from .schema import Unfit
from .wire import OtherMessages

MEMORY_BYTES = min(12 << 30, psutil.virtual_memory().total // 2)
STDERR_BYTES = 64 << 20
"""A worker that holds more memory, or writes more to its standard error during one message, is stopped."""
CONNECTION = 8
"""The file descriptor of the connection in the worker."""
GUARD = f"""exec {CONNECTION}<&0 9<&1 </dev/null >/dev/null
{{ read -r _ <&9; kill -9 0; }} {CONNECTION}<&- &
"$@" {CONNECTION} 9<&-; exit $?"""
"""A shell between the judge and the worker: code that kills its parent does not kill the judge; and a judge that is
killed, which closes the pipe that the shell reads, takes the worker with it, even one that hangs."""
BELOW_THE_JUDGE = 5
"""The niceness of workers: several compute ahead, and one process judges what they all give."""
PATIENCE = 3
"""Crashes and hangs after which an implementation is given up."""
OTHER_MESSAGES = "it is of a revision of lossmark that speaks other messages"
"""The error of a worker that says :class:`Hello` in other messages, or in none."""
CELLS, MANY_ROWS = 4, 1 << 11
"""The cells that a task is for, and the examples beyond which it has the time of all of them, not of one: a right loop
over the rows takes as long as there are rows."""
PICKLES = "UnpicklingError"
"""What a worker of a revision whose messages were pickles dies of."""


class GaveUp(Exception):  # noqa: N818 (an outcome, not an error)
    """The implementation has crashed or hung too often."""


class _Stopped(Exception):  # noqa: N818 (an outcome, not an error)
    """A message takes more than there is for it."""

    def __init__(self, failure: Failure):
        super().__init__(str(failure))
        self.failure = failure


class Worker:
    """The process of one implementation, or of one file's. Not safe for use by several threads at once.

    ``environment`` is added to the variables of this process; ``python`` is the interpreter, which decides on the
    revision of lossmark. ``strikes`` counts crashes and hangs; ``hello`` is what a running process said of itself.
    """

    limits = Limits()
    """What a message may take; another worker, or all of them, may be given others."""

    def __init__(
        self, reference: Reference, environment: Mapping[str, str] | None = None, python: str = sys.executable
    ):
        self.reference, self._python = reference, python
        self._environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})}
        self.strikes = 0
        self.hello: Hello | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._processes: Processes | None = None
        self._channel: Channel | None = None
        self._watch: int | None = None
        self._stderr: IO[bytes] | None = None

    def start(self) -> Hello:
        """Start the process if it is not running; returns what it says of itself, or why it cannot work.

        One that cannot work is not started again before :meth:`stop`.
        """
        if self.hello is not None and (self.hello.error or (self._process and self._process.poll() is None)):
            return self.hello
        self.stop()
        here, there = socket.socketpair()
        watched, self._watch = os.pipe()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "sh", self._python, "-m", "lossmark.worker"],
            stdin=there.fileno(), stdout=watched, stderr=self._stderr,
            env=os.environ | self._environment, start_new_session=True,
        )  # fmt: skip
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PGRP, self._process.pid, BELOW_THE_JUDGE)
        there.close()
        os.close(watched)
        self._channel, self._processes = Channel(here), Processes(self._process.pid)
        start = Start(self.reference.framework, self.reference.together)
        found = self._asked(start, Hello, self.limits.starting, self.limits.starting_idle)
        self.hello = found if isinstance(found, Hello) else Hello(error=str(found))
        return self.hello

    def run(self, message: Message) -> Reply | Failure:
        """The reply to a message, or how the process was lost: a crash or a hang costs this message only.

        Raises :class:`GaveUp` from the third loss on.
        """
        if self.strikes >= PATIENCE:
            raise GaveUp(f"given up after {PATIENCE} crashes or hangs")
        found = self.ask(message)
        self.strikes += isinstance(found, Failure)
        return found

    def ask(self, message: Message) -> Reply | Failure:
        """What :meth:`run` gives, for those who keep account of losses themselves: it never gives up."""
        staged = isinstance(message, (Timing, Weighing, Streaming))
        if staged and self._process is not None and self._process.poll() is not None:
            return self._lost(self._ended())  # a new process would not know what is to be timed
        hello = self.start()
        if hello.error:
            return self._lost(Failure("crashed", "", f"the worker did not start: {hello.error}"))
        cells = CELLS if isinstance(message, Task) and len(message.cotangent) > MANY_ROWS else 1
        seconds = cells * self.limits.cell + (self.limits.compiling if self._may_compile(message) else 0.0)
        found = self._asked(message, reply_kind(message), seconds, self.limits.idle)
        if not isinstance(found, Failure) and not fits(found, message):
            found = Failure("crashed", "", "stopped: its reply does not fit the question")
        if isinstance(found, Failure):
            return self._lost(found)
        assert isinstance(found, Reply)
        return found

    def _may_compile(self, message: Message) -> bool:
        """Whether a program may have to be compiled for a message.

        Single calls are in the framework's first mode; what is fused may compile itself in any mode.
        """
        if isinstance(message, Timing):
            return True
        if not isinstance(message, (Task, Probe, Watch)):
            return False
        adapter = framework(self.reference.framework)
        mode = adapter.mode(message.mode) if isinstance(message, Task) else adapter.modes[0]
        return mode.starts_slowly or (self.reference.own and adapter.own[message.impl].fused)

    def _lost(self, failure: Failure) -> Failure:
        self.stop()
        return failure

    def _asked(self, message: Message | Start, kind: type, seconds: float, idle_seconds: float) -> Any:
        """The reply to a message, or a failure: the process died, sent no reply, took too much time or memory.

        ``seconds`` are of processor time, from the first look on; the time of ``idle_seconds`` without any is too much.
        """
        assert self._channel is not None
        assert self._processes is not None
        look = functools.partial(self._look, self._processes, [], seconds, idle_seconds)
        try:
            return self._trusted(self._channel.ask(message, kind, look))
        except _Stopped as stopped:
            return stopped.failure
        except OtherMessages:
            return Failure("crashed", "", OTHER_MESSAGES)
        except Unfit as error:
            return Failure("crashed", "", f"stopped: it sent what is no reply: {error}")
        except (OSError, EOFError, ValueError) as error:  # closed at one of its ends
            ended = self._ended() if self._wait() is not None else Failure("crashed", "", f"{error}")
            return Failure("crashed", "", OTHER_MESSAGES) if kind is Hello and PICKLES in ended.message else ended

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

    def _ended(self) -> Failure:
        assert self._process is not None
        return Failure("crashed", "", f"the process ended ({_ending(self._process.returncode)}){self._last_words()}")

    def _trusted(self, message: object) -> object:
        """The message, if nobody has killed the shell that stands for the judge; makes room for what is written."""
        assert self._process is not None
        assert self._stderr is not None
        if self._process.poll() is not None:
            return Failure("crashed", "", f"its parent process was killed ({_ending(self._process.returncode)})")
        if self._written() > 1 << 20:  # parent and child share the position
            self._stderr.seek(0)
            self._stderr.truncate()
        return message

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

    def stop(self) -> None:
        """End the process, if it runs."""
        if self._channel is not None:
            self._channel.close()
        if self._watch is not None:
            os.close(self._watch)  # ends whatever is left of the group
        if self._process is not None:
            if self._process.poll() is None:  # the number of one that was waited for may be another's by now
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._stderr is not None:
            self._stderr.close()
        self._process = self._processes = self._channel = self._watch = self._stderr = None
        self.hello = None


def _ending(code: int | None) -> str:
    """How a process ended; a shell says 128 + n for signal n."""
    if code is not None and (code < 0 or code > 128):
        return f"signal {-code if code < 0 else code - 128}"
    return f"exit code {code}"
