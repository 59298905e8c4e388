"""The connection between judge and worker: a question out, one reply in. The judge never waits without a look."""

from __future__ import annotations

import functools
import io
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from . import wire
from .limits import LOOK_SECONDS
from .schema import Unfit

AHEAD = 1 << 16
"""Bytes that are read ahead, so that a small reply takes one call of the system."""


class Channel:
    """The judge's end of a pair of sockets.

    Every question carries a token of its own, which its reply must carry too, and before the next question there must
    be nothing to read. This finds accidents, such as a fork that answers as well. It is no protection: code under test
    shares the worker's memory, can find the token there, and can forge one reply in place of the worker's own.
    """

    def __init__(self, end: socket.socket):
        descriptor = end.detach()
        self._raw = Looking(descriptor, descriptor)
        self._reader = io.BufferedReader(self._raw, AHEAD)

    def ask(self, question: object, kind: type, look: Callable[[], None]) -> Any:
        """The reply to a question, of the class ``kind``; ``look`` is called every :data:`LOOK_SECONDS` of waiting.

        Raises :class:`Unfit` for bytes that are no such reply, EOFError or OSError where the other end is closed, and
        what ``look`` raises.
        """
        self._raw.watched_by(None)
        if self._reader.peek(1):
            raise Unfit("more replies than questions")
        self._raw.watched_by(look)
        token = os.urandom(8)
        for piece in wire.pack(question, token):
            self._raw.send(memoryview(piece))
        found, reply = wire.unpack(self._fill, kind)
        if found != token:
            raise Unfit("a reply to another question")
        return reply

    def close(self) -> None:
        """Close this end."""
        self._raw.close()

    def _fill(self, view: memoryview) -> None:
        if self._reader.readinto(view) != len(view):
            raise EOFError("the connection is closed")


class Line:
    """The worker's end of its connection to the judge."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._reader = io.BufferedReader(socket.SocketIO(connection, "r"), AHEAD)
        self._token = b""

    def receive(self, *kinds: type) -> Any:
        """The next message; raises EOFError where the judge has closed the connection, and :class:`Unfit`."""
        self._token, message = wire.unpack(self._fill, *kinds)
        return message

    def send(self, reply: object) -> None:
        """Answer the last message."""
        for piece in wire.pack(reply, self._token):
            self._connection.sendall(piece)

    def _fill(self, view: memoryview) -> None:
        if self._reader.readinto(view) != len(view):
            raise EOFError


class Looking(io.RawIOBase):
    """What another process writes and reads, looked after while it is waited for, however few or many bytes come.

    ``source`` and ``sink`` are file descriptors, which may be one, and are closed with it; without a look nothing is
    waited for.
    """

    def __init__(self, source: int, sink: int):
        self._source, self._sink = source, sink
        for descriptor in {source, sink}:
            os.set_blocking(descriptor, False)
        self._look: Callable[[], None] | None = None
        self._looked = 0.0

    def watched_by(self, look: Callable[[], None] | None) -> None:
        """From now on ``look`` is called while it waits."""
        self._look, self._looked = look, time.monotonic()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, view: Any) -> int | None:
        """Read what there is, at most as much as fits; 0 bytes where the other end is closed."""
        return self._done(functools.partial(os.readv, self._source, [view]), self._source, select.POLLIN)

    def send(self, view: memoryview) -> None:
        """Send all of it."""
        while view:
            view = view[self._done(functools.partial(os.write, self._sink, view), self._sink, select.POLLOUT) or 0 :]

    def _done(self, transfer: Callable[[], int], descriptor: int, ready: int) -> int | None:
        """The number of bytes that a call of the system transfers, as soon as it can transfer any."""
        while True:
            try:
                return transfer()
            except BlockingIOError:
                if self._look is None:
                    return None
            left = self._looked + LOOK_SECONDS - time.monotonic()
            if left <= 0:
                self._look()
                self._looked, left = time.monotonic(), LOOK_SECONDS
            poll = select.poll()
            poll.register(descriptor, ready)
            poll.poll(1000 * left)

    def close(self) -> None:
        """Close both."""
        if not self.closed:
            for descriptor in {self._source, self._sink}:
                os.close(descriptor)
        super().close()
