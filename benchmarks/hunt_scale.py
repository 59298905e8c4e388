"""What more machines cost a hunt on Ray: ``python -m lossmark.benchmarks.hunt_scale FILE``.

The same hunt on clusters of 1, 2 and 4 machines of one processor each, all of them on this machine, where half of them
die on the way. For each: evaluations per second of processor time, Ray's own and what is lost with a machine included,
and that relative to the cluster of one. With the messages of a leg as they were weighed, it reckons what a day of a
thousand machines sends through the one that hunts. Exit code 1 if a cluster finds anything else.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from lossmark.benchmarks.run_costs import ProcessorTime
from ray import cloudpickle
from ray.cluster_utils import Cluster

from lossmark.adapters.installed import framework_version, numeric_setups
from lossmark.hunt.on_ray import LEG_ON_RAY, QUIET, STORE_BYTES, hunt_on_ray
from lossmark.hunt.pool import Budget, leg
from lossmark.hunt.quarry import HUNTED, Quarry, quarries
from lossmark.hunt.record import HuntState, QuarryKey
from lossmark.results.environment import environment
from lossmark.specification.library import losses
from lossmark.suite.plan import Choice

MACHINES = (1, 2, 4)
DAY, WANTED = 86_400, 1_000_000_000
"""The seconds of a day, and the cells that are wanted in one."""
EVALUATIONS = 4096
"""Of each quarry."""
OF_A_BATCH = 96
"""Of a quarry whose candidates are whole batches: enough to fill its state, which is weighed and not timed."""
SECONDS = 0.5
"""The time between two looks at the processes."""
MACHINE = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}


class Hunted:
    """One hunt on a cluster: its states, the processor seconds, and the machines that died."""

    def __init__(self, found: Sequence[Quarry], machines: int):
        self.states: dict[QuarryKey, HuntState] = {}
        self.seconds = 0.0
        self.died = 0
        self._found, self._clock, self._over = found, ProcessorTime(), threading.Event()
        self._cluster = Cluster(initialize_head=True, head_node_args=MACHINE)
        self._doomed = [self._cluster.add_node(**MACHINE) for _ in range(machines - 1)][: machines // 2]
        self._each = len(found) / (len(self._doomed) + 1)
        before = self._clock.seconds()
        watch = threading.Thread(target=self._watch)
        watch.start()
        try:
            hunt_on_ray(found, 0, Budget(EVALUATIONS), {}, self._told, self._cluster.address)
        finally:
            self._over.set()
            watch.join()
            self.seconds = self._clock.seconds() - before
            self._cluster.shutdown()

    def _watch(self) -> None:
        while not self._over.wait(SECONDS):
            self._clock.seconds()

    def _told(self, quarry: Quarry, state: HuntState) -> None:
        self.states[quarry.key] = state
        if self._doomed and len(self.states) >= self._each * (self.died + 1):
            self._clock.seconds()
            self._cluster.remove_node(self._doomed.pop(), allow_graceful=False)
            self.died += 1


def messages(whose: str, found: Sequence[Quarry], states: Mapping[QuarryKey, HuntState]) -> list[dict[str, Any]]:
    """The bytes of what a leg is given and gives back, without Ray's own: on average, and of the largest."""
    weighed = {
        "task": [len(cloudpickle.dumps((QUIET, each, 0, states[each.key], EVALUATIONS, LEG_ON_RAY))) for each in found],
        "result": [len(cloudpickle.dumps((states[each.key], True))) for each in found],
    }
    return [{"message": f"{name}, {whose}", "mean": sum(s) // len(s), "largest": max(s)} for name, s in weighed.items()]


def of_a_day(per_second: float, sizes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a day of so many cells takes, where a processor makes so many evaluations in a second of its time."""
    cells = per_second * len(HUNTED) * LEG_ON_RAY
    task, legs = sum(each["mean"] for each in sizes), WANTED / cells
    figures = {
        "cells of a leg": round(cells),
        "bytes of a leg, there and back": task,
        "bytes of a cell": round(task / cells, 4),
        "legs of a day": round(legs),
        "bytes of a day": round(legs * task),
        "bytes of a second": round(legs * task / DAY),
        "processors that are busy all day": round(WANTED / (per_second * len(HUNTED) * DAY), 1),
    }
    return [{"what": what, "figure": figure} for what, figure in figures.items()]


def main(path: Path) -> int:
    """Hunt on every cluster and write what it took as JSON."""
    os.environ.update(QUIET)
    specs = losses()
    numpy = quarries(specs, Choice(("numpy",), (), "cpu", (), ("eager",)))
    found = [each for each in numpy if not specs[each.loss].coupled]
    batches = [each for each in numpy if specs[each.loss].coupled]
    hunts = {machines: Hunted(found, machines) for machines in MACHINES}
    one = hunts[MACHINES[0]]
    total = sum(state["evaluations"] for state in one.states.values())
    sizes = messages("examples", found, one.states)
    whole = messages("batches", batches, {each.key: leg(each, 0, None, OF_A_BATCH)[0] for each in batches})
    figures = {
        "hunts": [
            {
                "machines": machines,
                "died": each.died,
                "rows_differ": sum(each.states.get(key) != state for key, state in one.states.items()),
                "evaluations": total,
                "processor_seconds": round(each.seconds, 1),
                "per_second": round(total / each.seconds),
                "of_one": round(one.seconds / each.seconds, 3),
            }
            for machines, each in hunts.items()
        ],
        "messages": [*sizes, *whole],
        "day": of_a_day(total / one.seconds, sizes),
    }
    made = environment({"numpy": framework_version("numpy"), "ray": ray.__version__}, numeric_setups())
    path.write_text(json.dumps({"environment": made, **figures}, indent=1) + "\n", encoding="utf-8")
    return int(any(each["rows_differ"] for each in figures["hunts"]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
