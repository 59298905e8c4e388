"""How a conformance run grows with the implementations of one file: `python benchmarks/growth.py [N ...] [-- OPTIONS]`.

A third of them is right, a third wrong by a factor, a third crashes on an empty batch. For each N (12, 60 and 120): the
peak of resident memory of all processes together and of the judging ones, processor time per cell, lines printed. The
OPTIONS of pytest are contrastive in float32 unless given. Exit code 1 if a planned cell is lost.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from lossmark.results.record import read
from lossmark.rooms import room

SOURCE = """
import os
import torch
from lossmark import Implementation

def make(name, factor, crashes):
    impl = Implementation(name, framework="torch")
    @impl.loss
    def contrastive(d, y, *, margin=1.0, reduction="mean"):
        if d.shape != y.shape:
            raise ValueError("shapes")
        if crashes and not len(d):
            os.abort()
        if reduction == "mean" and not len(d):
            raise ValueError("an empty batch has no mean")
        y = y.to(d.dtype)
        loss = factor * (y * d**2 + (1 - y) * torch.relu(margin - d) ** 2)
        return loss if reduction == "none" else loss.sum() if reduction == "sum" else loss.mean()
    return impl

"""
OPTIONS = ("--loss", "contrastive", "--dtype", "float32")
SECONDS = 0.5
"""The time between two looks at the processes."""


def source(count: int) -> str:
    """A file of so many implementations."""
    lines = [f"i{i:03} = make('i{i:03}', {1.25 if i % 3 == 1 else 1.0}, {i % 3 == 2})" for i in range(count)]
    return SOURCE + "\n".join(lines) + "\n"


class Watched:
    """A process and all that it has started: the peaks of their resident bytes, and their processor time."""

    def __init__(self, root: int):
        self._root = psutil.Process(root)
        self.peak = self.judging = 0
        self._seconds: dict[psutil.Process, float] = {}

    @property
    def seconds(self) -> float:
        """The processor time of all, as far as it was seen."""
        return sum(self._seconds.values())

    def look(self) -> None:
        """See which processes there are, and what they take."""
        total = judging = 0
        with contextlib.suppress(psutil.Error):
            for process in (self._root, *self._root.children(recursive=True)):
                with contextlib.suppress(psutil.Error), process.oneshot():
                    size, times = process.memory_info().rss, process.cpu_times()
                    self._seconds[process] = times.user + times.system
                    total += size
                    judging += size * ("lossmark.worker" not in process.cmdline())
        self.peak, self.judging = max(self.peak, total), max(self.judging, judging)


def measured(count: int, options: list[str]) -> tuple[str, bool]:
    """A line about a run of so many implementations, and whether it has every cell."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "guests.py").write_text(source(count), encoding="utf-8")
        results, printed = folder / "results.jsonl", folder / "printed"
        command = [sys.executable, "-m", "pytest", str(room("conformance")), "-q", "-p", "no:cacheprovider"]
        command += ["--impl", str(folder / "guests.py"), "--results", str(results), *options]
        began = time.monotonic()
        with printed.open("w") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as run:
            watched = Watched(run.pid)
            while run.poll() is None:
                watched.look()
                time.sleep(SECONDS)
        wall = time.monotonic() - began
        found, lines = read(results), len(printed.read_text(encoding="utf-8").splitlines())
    cells, peak, judging = len(found.cells), watched.peak / 2**30, watched.judging / 2**30
    each = 1000 * watched.seconds / max(cells, 1)
    return f"{count:5} {cells:7} {peak:9.2f} {judging:9.2f} {each:8.1f} {wall:7.0f} {lines:6}", found.complete


def main(arguments: list[str]) -> int:
    """Print the lines for the given numbers of implementations; returns the exit code."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options = arguments[split + 1 :] or list(OPTIONS)
    print("    N   cells  peak GiB judge GiB  ms/cell  wall s  lines", flush=True)
    complete = True
    for count in map(int, arguments[:split] or ("12", "60", "120")):
        line, whole = measured(count, options)
        print(line if whole else f"{line}  cells are lost", flush=True)
        complete = complete and whole
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
