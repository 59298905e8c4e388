"""Parts of a plan for several machines: ``--shard 2/4`` is the second of four.

What is never divided is a group: the runs of one implementation, device, mode, dtype and loss, which share compiled
programs. Groups are given out one by one, the costliest first, each to the part that has then the least to do. A part
also pays for what its groups need once: a process of each framework, and the exact values of each loss and dtype. That
keeps together what shares them, where it costs more than it brings to keep it apart.

Nothing of this depends on the machine but which frameworks are missing: their runs cost nothing. Parts that were made
with other frameworks are not joined (``results/merge.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..checks.run import Run
from ..errors import LossmarkError
from ..rooms import room
from .costs import Costs, costs

DIGEST = 16
"""Hexadecimal digits of a digest in a header."""


@dataclass(frozen=True)
class PlanPart:
    """The ``index``-th part (from 1) of ``of``."""

    index: int
    of: int

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


class Together(NamedTuple):
    """What names the runs that are never divided."""

    impl: str
    device: str
    mode: str
    dtype: str
    loss: str


@dataclass
class _Load:
    """What a part has to do so far, in processor seconds."""

    seconds: float = 0.0
    paid: set[Hashable] = field(default_factory=set)

    def more(self, own: float, once: Iterable[tuple[Hashable, float]]) -> float:
        """The seconds that a group would add."""
        return own + sum(seconds for name, seconds in once if name not in self.paid)


@dataclass(frozen=True)
class Cut:
    """Which part has which group (from 0), what each part costs by the table, and a name for all of this."""

    places: dict[Together, int]
    seconds: tuple[float, ...]
    digest: str

    def runs(self, runs: Iterable[Run], index: int) -> list[Run]:
        """The runs of a part (from 1), in their order."""
        return [run for run in runs if self.places[_group(run)] == index - 1]


def part_of(text: str) -> PlanPart:
    """The part that ``i/N`` names; raises :class:`LossmarkError` for anything else."""
    index, slash, of = text.partition("/")
    if not (slash and all(number.isascii() and number.isdecimal() and len(number) < 7 for number in (index, of))):
        raise LossmarkError(f"--shard: found {text!r}, expected i/N, for example 2/4")
    if not 1 <= int(index) <= int(of):
        raise LossmarkError(f"--shard: found {text!r}, expected i from 1 to N")
    return PlanPart(int(index), int(of))


def cut(runs: Iterable[Run], of: int, table: Costs) -> Cut:
    """Divide a plan into so many parts; raises :class:`LossmarkError` if there would be empty ones.

    The order of the runs does not matter: it depends on the memory of the machine.
    """
    own: dict[Together, float] = {}
    once: dict[Together, list[tuple[Hashable, float]]] = {}
    for run in runs:
        group = _group(run)
        own[group] = own.get(group, 0.0) + table.run(run)
        if group not in once:
            once[group] = [] if run.reason else _paid_once(run, table)
    if len(own) < of:
        raise LossmarkError(f"--shard: this plan can be divided into {len(own)} parts at most, not into {of}")
    loads = [_Load() for _ in range(of)]
    places = {}
    for group in sorted(own, key=lambda group: (-own[group] - sum(s for _, s in once[group]), group)):
        after = [load.seconds + load.more(own[group], once[group]) for load in loads]
        place = after.index(min(after))
        loads[place].seconds = after[place]
        loads[place].paid.update(name for name, _ in once[group])
        places[group] = place
    return Cut(places, tuple(load.seconds for load in loads), _digest(f"{p} {g}" for g, p in sorted(places.items())))


def _group(run: Run) -> Together:
    return Together(run.target.name, run.device, run.mode, run.dtype, run.loss.id)


def _paid_once(run: Run, table: Costs) -> list[tuple[Hashable, float]]:
    """What a part pays once for all groups of the kind of this run's."""
    reference = run.target.reference
    return [
        (reference.process, table.start(reference.framework)),
        ((run.loss.id, run.dtype), table.exact(run.loss.id, run.dtype)),
    ]


@dataclass(frozen=True)
class Division:
    """A plan, and the runs of it that are made here: all of them, or those of a ``part`` by a cut named ``digest``."""

    whole: Sequence[Run]
    runs: Sequence[Run]
    part: PlanPart | None = None
    digest: str = ""

    def facts(self) -> dict[str, Any]:
        """What the header of the results says of the plan and of the part, so that parts of one plan can be joined."""
        whole = {"digest": plan_digest(self.whole), "cells": cells_of(self.whole), "code": code_digest(self.whole)}
        if self.part is None:
            return {"plan": whole}
        return {"plan": whole, "shard": {**asdict(self.part), "cut": self.digest}}


def divided(whole: Sequence[Run], shard: str) -> Division:
    """The part of a plan that an option names as ``i/N``, or all of it for an empty one.

    Raises :class:`LossmarkError` for a part that does not exist.
    """
    if not shard:
        return Division(whole, whole)
    part = part_of(shard)
    found = cut(whole, part.of, costs())
    return Division(whole, found.runs(whole, part.index), part, found.digest)


def cells_of(runs: Iterable[Run]) -> int:
    """The number of cells that runs have."""
    return sum(len(run.checks) for run in runs)


def plan_digest(runs: Sequence[Run]) -> str:
    """Names the cells of a plan, in whatever order."""
    return _digest(sorted(f"{run.id} {' '.join(run.checks)} {run.full}" for run in runs))


def code_digest(runs: Iterable[Run]) -> str:
    """Names the code under test as far as it lies in files: lossmark's own, or the files that were named."""
    references = {run.target.reference for run in runs}
    found = {reference.name: _file_digest(Path(reference.source.partition("::")[0])) for reference in references}
    if any(reference.own for reference in references):
        here = room("impls")
        found |= {path.relative_to(here).as_posix(): _file_digest(path) for path in here.rglob("*.py")}
    return _digest(f"{name} {digest}" for name, digest in sorted(found.items()))


def _file_digest(path: Path) -> str:
    """Names what a Python file holds; empty for anything else, such as the name of a module."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix == ".py" and path.is_file() else ""


def _digest(lines: Iterable[str]) -> str:
    found = hashlib.sha256()
    for line in lines:
        found.update(line.encode() + b"\n")
    return found.hexdigest()[:DIGEST]
