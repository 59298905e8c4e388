"""The timing of ``lossmark run``: what conformance has judged, and the plain form beside it, at one size.

A benchmark as ``lossmark bench`` makes it (:mod:`lossmark.timing.bench`), kept short: eager mode, float32, loss and
gradient, under the allocator's default policy, which is the one that lets peak memory be seen.
"""

from __future__ import annotations

import time
from pathlib import Path

from lossmark.adapters.installed import framework, framework_version, frameworks
from lossmark.results.record import Results
from lossmark.sandbox.target import Target, targets
from lossmark.specification.library import losses
from lossmark.timing.bench import Candidate, Field
from lossmark.timing.grid import Group
from lossmark.timing.table import Table

SIZE = (4096, 128)
"""Batch and dimensions: those of ``lossmark compare``; larger ones take longer to check than to time."""
POLICY = "default"
ROUNDS = 20
"""The most rounds of a loss: from so many on, an interval decides (:data:`lossmark.timing.ratio.LEAST_PAIRS`)."""
MOST = 16
"""Implementations that are timed; each has a process of its own."""
TIMED = 1 / 3
"""The share of the time of a loss that rounds may take; the rest is for first calls, checks and memory."""


def measure(run: Results, output: Path, seconds: float) -> Path | None:
    """Time the losses and implementations of a run of conformance in about ``seconds``; writes ``output``, a Parquet.

    At least three rounds are taken of every loss, however long they last; memory is measured while there is time.
    Returns None, and leaves no file, where there is nothing to time. Raises :class:`lossmark.errors.LoadError` for an
    implementation that cannot be loaded.
    """
    until = time.monotonic() + seconds
    output.unlink(missing_ok=True)
    found = _candidates(run)
    judged = {cell.loss for cell in run.cells}
    chosen = [loss for loss in losses().values() if loss.id in judged]
    if not found or not chosen:
        return None
    table = Table(output, {target.reference.framework for target, _ in found}, resume=False)
    table.environment["not timed"] = [target.name for target, _ in found[MOST:]]
    with Field(found[:MOST], POLICY) as field:
        for place, loss in enumerate(chosen):
            share = (until - time.monotonic()) / (len(chosen) - place)
            table.add(field.measure(Group(loss, SIZE, allocator=POLICY), ROUNDS, TIMED * share, weigh=share > 0))
    return output


def _candidates(run: Results) -> list[Candidate]:
    """The implementations of a run in the modes that trace nothing, after the plain forms they are held to."""
    sources = run.header.get("environment", {}).get("implementations", {})
    judged = {cell.impl for cell in run.cells if cell.framework in frameworks()}
    ours = targets()
    others = {sources[name] for name in judged if name in sources} - {target.reference.source for target in ours}
    guests = [target for target in targets(sorted(others)) if target.name in judged] if others else []
    used = {target.reference.framework for target in (*ours, *guests) if target.name in judged}
    plain = [target for target in ours if target.reference.framework in used and not _fused(target)]
    fused = [target for target in ours if target.name in judged and _fused(target)]
    found = [target for target in (*plain, *fused, *guests) if framework_version(target.reference.framework)]
    return [(target, mode) for target in found for mode in target.modes if not target.mode(mode).traced]


def _fused(target: Target) -> bool:
    return framework(target.reference.framework).own[target.name].fused
