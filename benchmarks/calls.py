"""What the calls of ``pytest conformance`` cost by themselves: ``python -m lossmark.benchmarks.calls [FRAMEWORK …]``.

The tasks of the default plan run twice in one process, without a judge. The first pass traces and compiles; in the
second everything is traced and compiled already, so that it is what no cache can take away.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from lossmark.adapters.installed import framework, frameworks
from lossmark.adapters.registry import load_all
from lossmark.checks.catalogue import ORDINARY
from lossmark.sandbox.global_state import GlobalState
from lossmark.sandbox.worker import Runner
from lossmark.specification.library import losses
from lossmark.suite.plan import Choice, plan
from lossmark.suite.prepare import Preparation


def measured(name: str) -> Iterator[tuple[str, str, int, float, float]]:
    """Of each own implementation of a framework, by mode: tasks, processor seconds of the first and second pass."""
    adapter = framework(name)
    adapter.setup()
    prepared = Preparation()
    default = [run for run in plan(losses(), Choice()) if not run.reason and set(run.checks) & set(ORDINARY)]
    for impl, own in adapter.own.items():
        runner = Runner(load_all(impl), adapter, GlobalState(adapter, ()))
        for mode in own.modes:
            tasks = [prepared(run).task for run in default if (run.target.name, run.mode) == (impl, mode)]
            if not tasks:
                continue
            passes = []
            for _ in range(2):
                start = time.process_time()
                for task in tasks:
                    runner.answer(task)
                passes.append(time.process_time() - start)
            yield impl, mode, len(tasks), passes[0], passes[1]


def main(names: list[str]) -> None:
    """Print the table, each framework in a process of its own."""
    if len(names) == 1:
        for impl, mode, tasks, first, second in measured(names[0]):
            print(f"{impl:18} {mode:8} {tasks:5} tasks {first:7.1f} s, again {second:7.1f} s", flush=True)
        return
    for name in names or list(frameworks()):
        subprocess.run([sys.executable, "-m", "lossmark.benchmarks.calls", name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
