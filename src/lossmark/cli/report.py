"""The commands that run conformance and show it: ``lossmark check``, ``report``, ``collect`` and ``run``."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..errors import HARNESS_ERROR, PASS, REGRESSION
from ..results import plain_text
from ..results.collected import collect as collected
from ..results.record import read
from ..rooms import room
from ..specification.library import losses, specs_digest

TIMING = 0.28
"""The time that ``lossmark run`` takes for timing, over that of conformance."""


def check(context: typer.Context) -> None:
    """Run the conformance suite; takes the options of ``pytest conformance``."""
    raise typer.Exit(_pytest(context.args))


def _pytest(arguments: list[str], plugins: list[Any] | None = None) -> int:
    """Run pytest on the conformance suite; returns one of lossmark's exit codes."""
    import pytest

    code = int(pytest.main([str(room("conformance")), *arguments], plugins=plugins))
    return code if code in (PASS, REGRESSION) else HARNESS_ERROR


def report(
    results: Annotated[list[Path], typer.Argument(help="results.jsonl, bench.parquet, gate.json")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder of the pages")] = Path("reports/out"),
    since: Annotated[Path | None, typer.Option(help="an earlier results.jsonl: what has changed since")] = None,
    history: Annotated[Path | None, typer.Option(help="a folder of `lossmark history`, for its steps")] = None,
) -> None:
    """Build the HTML report of a run."""
    print(_room("reports.build").build(results, output, since=since, kept=history))


def collect(
    source: Annotated[Path, typer.Argument(help="a folder of results, or a list: NAME [VERSION] ADDRESS a line")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder of the page")] = Path("scoreboard"),
) -> None:
    """Join results of other repositories, judged by these very specs, into a scoreboard: 1 if none can be shown."""
    found = collected(source, specs_digest(), losses())
    page = _room("reports.scoreboard_page").write(found, output)
    for one in found.withheld:
        print(f"withheld: {' '.join(filter(None, (one.name, one.version)))}: {plain_text.line(one.reason)}")
    print(f"{len(found.standings)} reports shown, {len(found.withheld)} withheld: {page}")
    raise typer.Exit(PASS if found.standings else REGRESSION)


def run(context: typer.Context) -> None:
    """The main job: conformance, times of what was judged, and the report in reports/out/index.html."""
    from .progress import Progress

    console = Console()
    output = Path("reports/out")
    output.mkdir(parents=True, exist_ok=True)
    results = output / "results.jsonl"
    begun = time.monotonic()
    with Progress(console) as progress:
        arguments = ["-p", "no:terminal", "--results", str(results), *context.args]
        code = _pytest(arguments, [progress])
    if code == HARNESS_ERROR:
        console.print(progress.reason or "the conformance run did not come to its end", style="red", markup=False)
        raise typer.Exit(code)
    with console.status("timing"):
        seconds = TIMING * (time.monotonic() - begun)
        timed = _room("benchmarks.quick").measure(read(results), output / "bench.parquet", seconds)
    page = _room("reports.build").build([results, *([timed] if timed else [])], output)
    counts = progress.counts
    console.print(", ".join(f"{counts[verdict]} {verdict}" for verdict in counts), markup=False)
    console.print(f"report: {page}", markup=False)
    raise typer.Exit(code)


def _room(name: str) -> Any:
    """A module of one of the rooms, which the engine does not know by import."""
    return importlib.import_module(f"lossmark.{name}")
