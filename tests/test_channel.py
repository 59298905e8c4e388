"""Judge and worker: one reply to a question, and no wait without an end, whatever is sent."""

import os
import socket
import threading

import msgpack
import numpy as np
import psutil
import pytest

from lossmark.sandbox import wire
from lossmark.sandbox.channel import Channel, Line
from lossmark.sandbox.limits import Limits
from lossmark.sandbox.messages import Failure, Probe, Probed, Staged, Timed, Watch, Watched, Weighed, Weighing
from lossmark.sandbox.process import Worker
from lossmark.sandbox.schema import Unfit
from lossmark.sandbox.target import targets
from tests.frames import ONE, frame, header


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    with here, there:
        yield Channel(here), Line(there), there


def replied(channel, data, there, look=lambda: None):
    there.sendall(data)
    return channel.ask(Weighing(False), Weighed, look)


def test_a_reply_that_nobody_has_asked_for_is_refused(pair):
    channel, _, there = pair
    with pytest.raises(Unfit, match="more replies than questions"):
        replied(channel, frame(Weighed(1, 2)), there)


@pytest.mark.parametrize("asked", [frame(Weighed(1, 2), b"00000000"), frame(Staged())])
def test_a_reply_to_another_question_is_refused(asked, pair, monkeypatch):
    channel, _, there = pair
    monkeypatch.setattr(os, "urandom", lambda size: b"12345678")
    with pytest.raises(Unfit, match=r"another question|not expected"):
        channel.ask(Weighing(False), Weighed, lambda: there.sendall(asked))


class Over(Exception):  # noqa: N818 (an outcome, not an error)
    """Nobody waits longer."""


def after(looks, work=lambda: None):
    """Looks at a worker of which the last one ends the waiting."""
    left = iter(range(looks))

    def look():
        work()
        if next(left, None) is None:
            raise Over

    return look


@pytest.mark.parametrize("length", [0, 5, wire.PREFIX.size, 60])
def test_half_a_frame_is_waited_for_no_longer_than_none(length, pair):
    channel, _, there = pair
    data = iter([frame(Timed(1.0, 1, ONE, {}), b"")[:length]])
    with pytest.raises(Over):
        channel.ask(Weighing(False), Timed, after(2, lambda: there.sendall(next(data, b""))))


def test_bytes_that_trickle_are_waited_for_no_longer_than_none(pair):
    """Though there is always something to read before the next look is due."""
    channel, _, there = pair
    done = threading.Event()

    def trickle():
        for byte in wire.PREFIX.pack(wire.MAGIC, wire.PROTOCOL, 1 << 20, 0) + bytes(1 << 20):
            if done.wait(0.01):
                return
            there.send(bytes([byte]))

    thread = threading.Timer(0.1, trickle)
    thread.start()
    try:
        with pytest.raises(Over):
            channel.ask(Weighing(False), Weighed, after(2))
    finally:
        done.set()
        thread.join()


def test_a_question_that_is_not_read_is_not_waited_for(pair):
    channel, _, _ = pair
    with pytest.raises(Over):
        channel.ask(Watch("i", "l", {"x": np.zeros(1 << 22)}, "cpu"), Watched, after(2))


GUEST = """
import gc, os, time
import numpy as np
from lossmark import Implementation
from lossmark.sandbox import messages
impl = Implementation("mini", framework="numpy")
@impl.loss
def bpr(u, d_pos, d_neg):
    {does}
    return np.zeros((), np.float64)
"""


@pytest.fixture
def guest(tmp_path):
    """Makes the worker of a guest whose function does something."""
    workers = []

    def made(does):
        (tmp_path / "mini.py").write_text(GUEST.format(does=does))
        (target,) = targets((str(tmp_path / "mini.py"),))
        workers.append(Worker(target.reference))
        workers[0].limits = Limits(cell=2.0, idle=1.0)
        assert not workers[0].start().error
        return workers[0]

    yield made
    for worker in workers:
        worker.stop()


QUESTION = Probe("mini", "bpr", (dict.fromkeys(("u", "d_pos", "d_neg"), 0.0),), "cpu")


def test_memory_is_taken_for_bytes_that_arrive_not_for_those_that_are_announced(guest, monkeypatch):
    announced = msgpack.ExtType(1, b"bool".ljust(12, b"\0") + wire.MOST_BYTES.to_bytes(8, "big"))
    reply = header("Probed", (("Returned", announced, True, "bool", (wire.MOST_BYTES,), "cpu"),))
    begun = wire.PREFIX.pack(wire.MAGIC, wire.PROTOCOL, len(reply), wire.MOST_BYTES) + reply + bytes(100)
    look, memory, me = Worker._look, [], psutil.Process()
    monkeypatch.setattr(Worker, "_look", lambda *all: (memory.append(me.memory_info().rss), look(*all)))
    worker = guest(f"os.write(8, {begun!r}); time.sleep(1e6)")
    before = me.memory_info().rss
    found = worker.run(QUESTION)
    assert isinstance(found, Failure)
    assert found.kind == "timed out"
    assert max(memory) - before < 16 << 20


def test_a_second_reply_stops_the_worker_at_the_next_question(guest):
    """A forged reply before the worker's own is not told from it; that there are two is."""
    forged = "messages.Probed((messages.Failure('raised', 'Forged'),))"
    worker = guest(f"next(x for x in gc.get_objects() if type(x).__name__ == 'Line').send({forged})")
    assert worker.run(QUESTION) == Probed((Failure("raised", "Forged"),))
    found = worker.run(QUESTION)
    assert isinstance(found, Failure)
    assert "it sent what is no reply" in found.message
