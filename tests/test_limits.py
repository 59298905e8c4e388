"""A worker is stopped for the processor time that it uses, or for using none, and for nothing that a neighbour does."""

import contextlib
import os
import subprocess
import sys

import psutil
import pytest

from lossmark.errors import LoadError
from lossmark.sandbox import target
from lossmark.sandbox.limits import LOOK_SECONDS, Clock, Limits, Processes
from lossmark.sandbox.messages import Failure, Probe, Probed
from lossmark.sandbox.process import Worker
from lossmark.sandbox.target import targets
from tests.processes import awaited

GUEST = """
import os, threading, time
import numpy as np
from lossmark import Implementation
impl = Implementation("mini", framework="numpy")
def compute(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until: pass
def child():
    if os.fork() == 0:
        while True: pass
@impl.loss
def bpr(u, d_pos, d_neg):
    {does}
    return np.zeros((), u.dtype)
"""


class Pretended:
    """Processes whose readings a test sets."""

    def __init__(self):
        self.now = self.used = 0.0
        self.waits = False

    def seconds(self):
        return self.used

    def runnable(self):
        return self.waits


def clock(seconds=10.0, idle=60.0):
    made_up = Pretended()
    return made_up, Clock(made_up, seconds, idle, now=lambda: made_up.now)


def until_over(made_up, watched, share, most=1000.0, look=LOOK_SECONDS):
    """Let processes use a share of a processor until their time is over; how long it took, and why it is over."""
    while made_up.now < most:
        made_up.now += look
        made_up.used += share * look
        if why := watched.over():
            return made_up.now, why
    return most, ""


def test_processor_time_is_what_is_limited():
    assert until_over(*clock(), share=1.0) == (10.0, "no result within 10 s of processor time")
    seconds, why = until_over(*clock(), share=0.25)
    assert seconds == 40.0
    assert "10 s of processor time" in why


def test_many_threads_count_as_one_processor():
    seconds, why = until_over(*clock(), share=64.0)
    assert seconds == 10.0
    assert "processor time" in why


def test_a_process_that_uses_no_processor_time_is_idle():
    assert until_over(*clock(), share=0.0) == (60.0, "no result, and no processor time used for 60 s")
    _, why = until_over(*clock(), share=0.01)
    assert "no processor time" in why, "a thread that only looks around is no work"
    _, why = until_over(*clock(), share=0.06)
    assert "of processor time" in why, "little work is work"


def test_idle_time_begins_anew_after_work():
    made_up, watched = clock()
    until_over(made_up, watched, share=0.0, most=50.0)
    until_over(made_up, watched, share=1.0, most=55.0)
    assert watched.idle == 0.0
    assert until_over(made_up, watched, share=0.0)[0] == pytest.approx(115.0)


def test_a_process_that_waits_for_a_processor_is_not_idle():
    """Neighbours that keep it from computing for an hour take nothing from its time."""
    made_up, watched = clock()
    made_up.waits = True
    assert until_over(made_up, watched, share=0.001, most=3600.0) == (3600.0, "")
    assert watched.idle == 0.0
    assert watched.used == pytest.approx(3.6)


def test_looks_that_come_late_count_as_two_at_most():
    """The judge had no processor, or the machine slept: that says nothing about the worker."""
    made_up, watched = clock()
    assert until_over(made_up, watched, share=0.0, look=100.0, most=10_000.0) == (10_000.0, "")
    assert watched.idle == 100 * 2 * LOOK_SECONDS


def test_what_ended_processes_used_stays_used():
    made_up, watched = clock()
    until_over(made_up, watched, share=1.0, most=5.0)
    made_up.used = 0.0
    watched.over()
    assert watched.used == pytest.approx(5.0)
    until_over(made_up, watched, share=1.0, most=7.0)
    assert watched.used == pytest.approx(7.0)


def asked(folder, does, **limits):
    """The reply of a guest to one call."""
    (folder / "mini.py").write_text(GUEST.format(does=does))
    (found,) = targets((str(folder / "mini.py"),))
    worker = Worker(found.reference)
    worker.limits = Limits(**limits)
    try:
        assert not worker.start().error
        return worker.run(Probe("mini", "bpr", ({"u": 0.0, "d_pos": 0.0, "d_neg": 0.0},), "cpu"))
    finally:
        worker.stop()


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("compute(1e6)", "no result within 1 s of processor time"),
        ("child(); os.wait()", "no result within 1 s of processor time"),
        ("child(); child(); child(); time.sleep(1e6)", "no result within 1 s of processor time"),
        ("time.sleep(1e6)", "no result, and no processor time used for 2 s"),
        ("lock = threading.Lock(); lock.acquire(); lock.acquire()", "no result, and no processor time used for 2 s"),
        ("while True: time.sleep(0.1)", "no result, and no processor time used for 2 s"),
    ],
)
def test_what_does_not_end_is_stopped(does, why, tmp_path):
    found = asked(tmp_path, does, cell=1.0, idle=2.0)
    assert isinstance(found, Failure)
    assert (found.kind, found.message) == ("timed out", why)


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("while True: pass", "no result within 1 s of processor time"),
        ("import time; time.sleep(1e6)", "no result, and no processor time used for 2 s"),
    ],
)
def test_a_file_whose_loading_does_not_end_is_refused(does, why, tmp_path, monkeypatch):
    monkeypatch.setattr(target, "Limits", lambda: Limits(starting=1.0, starting_idle=2.0))
    (tmp_path / "mini.py").write_text(does)
    with pytest.raises(LoadError, match=f"mini.py: loading it gave {why}"):
        targets((str(tmp_path / "mini.py"),))


def test_an_interrupt_ends_the_loading_of_a_file(tmp_path, monkeypatch):
    """Its session is its own, so that a terminal's interrupt does not reach it."""
    leaders = []

    class Interrupted(Processes):
        def look(self):
            leaders.append(self._leader)
            raise KeyboardInterrupt

    monkeypatch.setattr(target, "Processes", Interrupted)
    (tmp_path / "mini.py").write_text("while True: pass")
    with pytest.raises(KeyboardInterrupt):
        targets((str(tmp_path / "mini.py"),))
    assert not psutil.pid_exists(leaders[0])


def test_busy_neighbours_stop_nobody(tmp_path):
    """The guest needs a second of processor time, and gets it in many: its limits are two seconds and two idle ones."""
    neighbours = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 2))
    ]
    try:
        found = asked(tmp_path, "compute(1)", cell=2.0, idle=2.0)
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()
    assert isinstance(found, Probed), found


def test_the_processes_of_a_worker_are_its_session_and_its_descendants():
    """Also one whose parent is gone, and, once seen, one that has left the session too."""
    program = """
import os, sys, time
def forked(leaves):
    if os.fork() == 0:
        if os.fork() == 0:
            os.write(1, b'%d\\n' % os.getpid())  # at once: two that print in pieces would mix their numbers
            time.sleep(1)
            if leaves: os.setsid()
            time.sleep(1e6)
        os._exit(0)
    os.wait()
forked(False); forked(True)
while time.process_time() < 0.5: pass
time.sleep(1e6)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        strays = set()
        try:
            strays |= {int(process.stdout.readline()) for _ in range(2)}
            seen = Processes(process.pid)
            seen.look()
            assert strays <= {member.pid for member in seen._members}
            awaited(lambda: any(os.getsid(stray) == stray for stray in strays) and seen.seconds() >= 0.1)
            seen.look()
            assert {process.pid, *strays} == {member.pid for member in seen._members}
            assert seen.memory() > 0
            awaited(lambda: not seen.runnable())
        finally:
            process.kill()
            for pid in strays:
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
