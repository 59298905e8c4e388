"""The commands that time implementations: ``lossmark compare`` and ``lossmark bench``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from ..adapters import registry
from ..adapters.installed import framework_version
from ..errors import INCONCLUSIVE, PASS, REGRESSION, LoadError, LossmarkError
from ..sandbox.target import Target, discover, one, targets
from ..suite.plan import Choice
from .options import Allocator, Device, Format, Passes, chosen_losses, size_of, wide_console

if TYPE_CHECKING:
    from ..timing.request import BenchRequest
    from ..timing.table import Table


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

    chosen = chosen_losses(Choice(losses=tuple(loss or ())))
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
    from ..timing.request import BenchRequest
    from ..timing.table import Table, tables

    choice = Choice(
        impls=tuple(impl or ()), losses=tuple(loss or ()), dtypes=tuple(dtype or ()), modes=tuple(mode or ())
    )
    losses = chosen_losses(choice)
    found = [t for t in targets(choice.impls) if framework_version(t.reference.framework)]
    found += _installed(registry.peers()) if peers else []
    sizes = [size_of(text) for text in size or ()]
    request = BenchRequest(losses, found, sizes, choice.dtypes, choice.modes, passes, allocator, device, full)
    table = Table(output, request.frameworks, resume)
    console = wide_console()
    stopped = _measure(request, table, console)
    console.print(*tables(table.frame), sep="\n")
    console.print(f"{len(table.frame)} rows in {output}" + (", stopped: go on with --resume" if stopped else ""))
    if not table.frame["seconds"].notna().any():
        raise LossmarkError("nothing was timed")
    raise typer.Exit(INCONCLUSIVE if stopped else PASS)


def _measure(request: BenchRequest, table: Table, console: Console) -> bool:
    """Add the rows of every group that the table does not have; returns whether this was interrupted."""
    groups = request.groups(done=table.keys)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("timing", total=len(groups))
        try:
            for rows in request.measured(groups):
                table.add(rows)
                progress.advance(task)
        except KeyboardInterrupt:
            return True
    return False


def _installed(names: Iterable[str]) -> list[Target]:
    """The implementations of these names that can be loaded; prints why the others cannot."""
    found: list[Target] = []
    for name in names:
        try:
            found += discover(name)
        except LoadError as error:
            print(f"not timed: {error} (the extra 'peers' has its library)", file=sys.stderr)
    return found
