"""What the runs of a plan cost in processor time, from a table that lies in the conformance room.

The table travels with the repository, and nothing else is asked: all parts of a plan are cut on their own, each on its
machine, so all of them need the same costs. A history of one machine would cut another's parts otherwise. What the
table does not name costs what its nearest relatives do; only ratios matter.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveInt, ValidationError

from ..checks.run import Run
from ..errors import LossmarkError
from ..rooms import room

COSTS_FILE = "costs.json"
GUESSED_SECONDS = 0.05
"""What a run costs of which nothing is known."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MeasuredRuns(_Strict):
    """Processor seconds of so many runs of an implementation in a mode, of a loss, in all dtypes together."""

    impl: str
    framework: str
    mode: str
    loss: str
    runs: PositiveInt
    seconds: NonNegativeFloat


class MeasuredExact(_Strict):
    """Processor seconds of everything that conforms to a loss in a dtype, whoever is held to it."""

    loss: str
    dtype: str
    seconds: NonNegativeFloat


class MeasuredStart(_Strict):
    """Processor seconds from the start of a worker process to its readiness."""

    framework: str
    seconds: NonNegativeFloat


class CostsTable(_Strict):
    """The file: how it was measured, and three tables."""

    measured: Mapping[str, Any]
    starts: tuple[MeasuredStart, ...]
    exact: tuple[MeasuredExact, ...]
    runs: tuple[MeasuredRuns, ...]


class Costs:
    """Processor seconds of runs, of exact values and of starts, known or taken from what is nearest."""

    def __init__(self, table: CostsTable):
        totals: defaultdict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for row in table.runs:
            for key in _relatives(row.impl, row.framework, row.mode, row.loss):
                totals[key][0] += row.seconds
                totals[key][1] += row.runs
        self._runs = {key: seconds / runs for key, (seconds, runs) in totals.items()}
        self._exact = {(row.loss, row.dtype): row.seconds for row in table.exact}
        self._starts = {row.framework: row.seconds for row in table.starts}

    def run(self, run: Run) -> float:
        """What a run costs by itself. A run that cannot be made costs nothing."""
        if run.reason:
            return 0.0
        reference = run.target.reference
        keys = _relatives(reference.name, reference.framework, run.mode, run.loss.id)
        return next((self._runs[key] for key in keys if key in self._runs), GUESSED_SECONDS)

    def exact(self, loss: str, dtype: str) -> float:
        """What it costs, once, to compute what conforms to a loss in a dtype."""
        return self._exact.get((loss, dtype), _mean(self._exact.values()))

    def start(self, framework: str) -> float:
        """What it costs to start a worker process of a framework."""
        return self._starts.get(framework, _mean(self._starts.values()))


def _relatives(impl: str, framework: str, mode: str, loss: str) -> Sequence[tuple[str, ...]]:
    """The keys under which the cost of a run is looked for, the nearest first."""
    return (
        ("of the implementation", impl, mode, loss),
        ("of the framework", framework, mode, loss),
        ("in the mode", framework, mode),
        ("of any loss", framework),
        ("of anything",),
    )


def _mean(values: Any) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0


@functools.cache
def costs(path: Path | None = None) -> Costs:
    """The costs of a file (default: the conformance room's); raises :class:`LossmarkError` for a malformed one."""
    source = path or room("conformance") / COSTS_FILE
    try:
        return Costs(CostsTable.model_validate_json(source.read_bytes()))
    except (OSError, ValidationError) as error:
        raise LossmarkError(f"{source}: no table of costs: {error}") from None
