"""A table made of what ``lossmark bench`` has written."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from lossmark.errors import LossmarkError
from lossmark.results.environment import machine

from . import data
from .outputs import Condensed, complete_run, short

LIBRARIES = ("keras-rs", "optax")
"""Peers that are installed; the other ones are formulas that were written down from a library."""
ONE_MACHINE = ("cpu", "cores", "platform", "python")
"""What files that are kept together have in common; each names only the frameworks that it timed."""


def speed(files: Sequence[Path]) -> Condensed:
    """One or several files of ``lossmark bench`` from one machine."""
    environment, times = _times(files)
    return environment, data.Speed(times=times)


def sizes(files: Sequence[Path]) -> Condensed:
    """Like :func:`speed`, with fewer columns."""
    environment, times = _times(files, data.RATIOS)
    return environment, data.Sizes(times=times)


def peers(files: Sequence[Path]) -> Condensed:
    """Files of ``lossmark bench``, and one of a conformance run of the peers (``.jsonl``)."""
    cells = [file for file in files if file.suffix == ".jsonl"]
    environment, times = _times([file for file in files if file.suffix == ".parquet"])
    counts: dict[str, Counter[str]] = {}
    for cell in complete_run(cells).cells:
        counts.setdefault(cell.impl, Counter())[cell.verdict] += 1
    rows = [
        [impl, sum(c.values()), c["pass"] + c["deviates"], c["fail"] + c["error"], c["unsupported"] + c["not-run"]]
        for impl, c in counts.items()
    ]
    verdicts = data.Table(columns=list(data.VERDICTS_OF_A_PEER), rows=rows)
    environment = environment | {"packages": environment["packages"] | dict(_libraries())}
    return environment, data.Peers(times=times, verdicts=verdicts)


def _libraries() -> Iterator[tuple[str, str]]:
    """The versions of the peers that are installed."""
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield name, metadata.version(name)


def _times(files: Sequence[Path], columns: Sequence[str] = data.TIMES) -> tuple[Mapping[str, Any], data.Table]:
    frames = [pd.read_parquet(file) for file in files]
    found = [frame.attrs["environment"] for frame in frames]
    if len({machine({name: each[name] for name in ONE_MACHINE}) for each in found}) != 1:
        raise LossmarkError(f"expected times of one machine, got those of {len(found)} files that differ in it")
    versions = {name: version for each in found for name, version in each["frameworks"].items()}
    environment = found[-1] | {"frameworks": versions}
    rows = [[short(row[name]) for name in columns] for frame in frames for _, row in frame.iterrows()]
    return environment, data.Table(columns=list(columns), rows=rows)
