"""Worker processes of Python, as the process that judges holds them.

There is one for each implementation, or for each file. It is started when it is needed, replaced when it dies, and
stopped when a message takes it more time or memory than there is for it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ..adapters.installed import framework
from ..adapters.registry import Reference
from .channel import Channel
from .guarded import Guarded
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
from .wire import OtherMessages

CONNECTION = 8
"""The file descriptor of the connection in the worker."""
GUARD = f"""exec {CONNECTION}<&0 9<&2 2>>"$1" </dev/null
shift
{{ read -r _ <&9; kill -9 0; }} {CONNECTION}<&- &
"$@" {CONNECTION} 9<&-; exit $?"""
"""A shell between the judge and the worker: code that kills its parent does not kill the judge; and a judge that is
killed, which closes the pipe that the shell reads, takes the worker with it, even one that hangs."""
PATIENCE = 3
"""Crashes and hangs after which an implementation is given up."""
OTHER_MESSAGES = "it is of a revision of lossmark that speaks other messages"
"""The error of a worker that says :class:`Hello` in other messages, or in none."""
PICKLES = "UnpicklingError"
"""What a worker of a revision whose messages were pickles dies of."""


class GaveUp(Exception):  # noqa: N818 (an outcome, not an error)
    """The implementation has crashed or hung too often."""


class Worker(Guarded):
    """The process of one implementation, or of one file's.

    ``python`` is the interpreter, which decides on the revision of lossmark. ``strikes`` counts crashes and hangs.
    """

    def __init__(
        self, reference: Reference, environment: Mapping[str, str] | None = None, python: str = sys.executable
    ):
        super().__init__(reference, {"TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})})
        self._python = python
        self.strikes = 0
        self._channel: Channel | None = None

    def _greeted(self) -> Hello:
        here, there = socket.socketpair()
        self._channel = Channel(here)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        self._launch(GUARD, [self._python, "-m", "lossmark.worker"], there.detach(), nowhere)
        start = Start(self.reference.framework, self.reference.together)
        found = self._asked(start, Hello, self.limits.starting, self.limits.starting_idle)
        return found if isinstance(found, Hello) else Hello(error=str(found))

    def run(self, message: Message) -> Reply | Failure:
        """What :meth:`ask` gives; raises :class:`GaveUp` from the third loss on."""
        if self.strikes >= PATIENCE:
            raise GaveUp(f"given up after {PATIENCE} crashes or hangs")
        found = self.ask(message)
        self.strikes += isinstance(found, Failure)
        return found

    def ask(self, message: Message) -> Reply | Failure:
        """The reply to a message, or how the process was lost; for those who keep account of losses themselves."""
        staged = isinstance(message, (Timing, Weighing, Streaming))
        if staged and self._process is not None and not self._runs():
            return self._lost(self._ended())  # a new process would not know what is to be timed
        hello = self.start()
        if hello.error:
            return self._lost(Failure("crashed", "", f"the worker did not start: {hello.error}"))
        seconds = self._seconds(message) + (self.limits.compiling if self._may_compile(message) else 0.0)
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

    def _asked(self, message: Message | Start, kind: type, seconds: float, idle_seconds: float) -> Any:
        """The reply to a message, or a failure."""
        channel = self._channel
        assert channel is not None

        def talk(look: Callable[[], None]) -> object:
            try:
                return self._trusted(channel.ask(message, kind, look))
            except OtherMessages:
                return Failure("crashed", "", OTHER_MESSAGES)

        found = self._watched(talk, seconds, idle_seconds)
        pickles = kind is Hello and isinstance(found, Failure) and PICKLES in found.message
        return Failure("crashed", "", OTHER_MESSAGES) if pickles else found

    def _trusted(self, message: object) -> object:
        """The message, if nobody has killed the shell that stands for the judge."""
        return message if self._runs() else Failure("crashed", "", f"its parent process was killed ({self._ending()})")

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel = None
