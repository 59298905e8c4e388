"""The commands that time implementations: ``lossmark compare`` and ``lossmark bench``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from ..adapters import registry
from ..adapters.installed import framework_version
from ..errors import INCONCLUSIVE, PASS, REGRESSION, LoadError, LossmarkError
from ..sandbox.target import Target, discover, one, targets
from ..specification.library import losses
from ..specification.loss import Loss
from ..suite.plan import Choice, check

WIDE = 160


class Passes(StrEnum):
    """What is timed."""

    forward = "fwd"
    both = "fwd+bwd"


class Allocator(StrEnum):
    """Whether a CPU's memory that was freed is kept, or given back to the system as glibc has it."""

    warm = "warm"
    default = "default"


class Device(StrEnum):
    """Where implementations run."""

    cpu = "cpu"
    gpu = "gpu"


class Format(StrEnum):
    """How results are printed."""

    text = "text"
    json = "json"


def compare(
    a: Annotated[str, typer.Argument(help="an implementation: name, FILE.py, FILE.py::NAME or module")],
    b: Annotated[str, typer.Argument(help="the one that may not be slower")],
    loss: Annotated[list[str] | None, typer.Option(help="only this loss (repeatable)")] = None,
    size: Annotated[str, typer.Option(help="batch and dimensions")] = "4096x128",
    passes: Annotated[Passes, typer.Option("--pass", help="forward, or forward and backward")] = Passes.both,
    format_: Annotated[Format, typer.Option("--format", help="how to print the result")] = Format.text,
) -> None:
    """How many times as long does B take as A: 1 if it is slower by more than 5 %, 2 if that is not decided."""
    from ..timing import compare as comparison

    chosen = _losses(Choice(losses=tuple(loss or ())))
    pair = one(a), one(b)
    found = list(comparison.compare(*pair, chosen, size_of(size), passes is Passes.both))
    if format_ is Format.json:
        print(json.dumps([item.record() for item in found], indent=1, ensure_ascii=False))
    else:
        wide_console().print(comparison.table(pair[0], pair[1], found))
    verdicts = {item.verdict for item in found}
    wrong = verdicts & {"slower", "not timed"}
    raise typer.Exit(REGRESSION if wrong else INCONCLUSIVE if "undecided" in verdicts else PASS)


def bench(
    impl: Annotated[list[str] | None, typer.Option(help="only this implementation (repeatable)")] = None,
    loss: Annotated[list[str] | None, typer.Option(help="only this loss (repeatable)")] = None,
    size: Annotated[list[str] | None, typer.Option(help="only this size, BxD (repeatable)")] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="only this dtype (repeatable)")] = None,
    mode: Annotated[list[str] | None, typer.Option(help="only this mode (repeatable)")] = None,
    passes: Annotated[Passes | None, typer.Option("--pass", help="only this pass")] = None,
    allocator: Annotated[Allocator | None, typer.Option(help="only this policy of the allocator")] = None,
    device: Annotated[Device, typer.Option(help="where it is timed")] = Device.cpu,
    peers: Annotated[bool, typer.Option("--peers", help="time other people's losses beside lossmark's")] = False,
    full: Annotated[bool, typer.Option("--full", help="every size, dtype and pass, for hours")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="leave out what the results file has already")] = False,
    output: Annotated[Path, typer.Option("-o", "--output", help="results file")] = Path("bench.parquet"),
) -> None:
    """Time, memory and share of the machine's limit of every implementation; what is measured is kept at Ctrl-C."""
    from ..timing import bench as benchmark
    from ..timing.table import Table, tables

    choice = Choice(
        impls=tuple(impl or ()), losses=tuple(loss or ()), dtypes=tuple(dtype or ()), modes=tuple(mode or ())
    )
    losses = _losses(choice)
    found = [t for t in targets(choice.impls) if framework_version(t.reference.framework)]
    found += _installed(registry.peers()) if peers else []
    sizes = [size_of(text) for text in size or ()]
    groups = [
        group
        for group in benchmark.grid(losses, sizes, choice.dtypes, full, device)
        if passes in (None, group.passes) and allocator in (None, group.allocator)
    ]
    table = Table(output, {t.reference.framework for t in found}, resume)
    groups = [group for group in groups if group.key not in table.keys]
    rounds, seconds = (30, 60.0) if full else (6, 4.0)
    console = wide_console()
    stopped = False
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("timing", total=len(groups))
        try:
            for rows in benchmark.bench(groups, benchmark.entries(found, choice.modes), rounds, seconds):
                table.add(rows)
                progress.advance(task)
        except KeyboardInterrupt:
            stopped = True
    console.print(*tables(table.frame), sep="\n")
    console.print(f"{len(table.frame)} rows in {output}" + (", stopped: go on with --resume" if stopped else ""))
    if not table.frame["seconds"].notna().any():
        raise LossmarkError("nothing was timed")
    raise typer.Exit(INCONCLUSIVE if stopped else PASS)


def _installed(names: Iterable[str]) -> list[Target]:
    """Those that can be loaded; of the others it is said why not."""
    found: list[Target] = []
    for name in names:
        try:
            found += discover(name)
        except LoadError as error:
            print(f"not timed: {error}; pip install 'lossmark[peers]'", file=sys.stderr)
    return found


def wide_console() -> Console:
    """Standard output; where it is no terminal, wide enough for a table to keep its lines."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)


def _losses(choice: Choice) -> list[Loss]:
    known = losses()
    check(known, choice)
    return [known[name] for name in choice.losses or known]


def size_of(text: str) -> tuple[int, int]:
    """Batch and dimensions from ``BxD``; raises :class:`LossmarkError`."""
    numbers = text.lower().split("x")
    if len(numbers) != 2 or not all(number.isdecimal() and int(number) for number in numbers):
        raise LossmarkError(f"--size: found {text!r}, expected BxD, for example 4096x128")
    return int(numbers[0]), int(numbers[1])
