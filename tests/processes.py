"""Commands run as people run them; one that does not come to its end is killed with all that it has started."""

import contextlib
import subprocess
import sys
import time

import psutil


@contextlib.contextmanager
def started(command, **options):
    """A running command with its output in pipes; nothing of it outlives the block."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                for each in (process, *children(process.pid)):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.kill()


def finished(command, seconds=850, **options):
    """A command at its end, with what it said as text."""
    with started(command, text=True, **options) as process:
        out, complaints = process.communicate(timeout=seconds)
    return subprocess.CompletedProcess(command, process.returncode, out, complaints)


def awaited(condition, seconds=60):
    """Wait until something is so; it fails if it does not come to that."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def lossmark(*arguments, cwd):
    return finished([sys.executable, "-m", "lossmark", *map(str, arguments)], cwd=cwd)


def children(pid):
    """Every process that a process has started, and they."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []
