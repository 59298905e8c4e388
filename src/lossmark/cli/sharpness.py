"""The command that shows what wrong implementations the suite kills: ``lossmark mutants``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..adapters.installed import framework_version, frameworks, numeric_setups
from ..errors import PASS, REGRESSION


def mutants(
    framework: Annotated[list[str] | None, typer.Option(help="only those of this framework (repeatable)")] = None,
    right: Annotated[bool, typer.Option("--right", help="instead, who would accuse right implementations")] = False,
    museum: Annotated[bool, typer.Option("--museum", help="instead, defects that others have reported")] = False,
    results: Annotated[Path | None, typer.Option(help="write the scoreboard as JSON, for the report")] = None,
) -> None:
    """The sharpness of the suite: wrong implementations that must be killed, and what other tests see of them."""
    from ..sharpness import mutants as catalogue
    from ..sharpness import scoreboard

    installed = tuple(framework or [name for name in frameworks() if framework_version(name)])
    console = Console()
    if right:
        raise typer.Exit(_accusations(installed, console, results))
    if museum:
        raise typer.Exit(_exhibition(installed, console, results))
    with console.status("mutants"):
        board = scoreboard.scoreboard(catalogue.mutants(installed))
    if results is not None:
        _write(results, installed, scoreboard.record(board))
    console.print(scoreboard.kills_table(board), scoreboard.totals_table(board))
    print("\n".join(scoreboard.summary(board)))
    raise typer.Exit(PASS if board.sharp else REGRESSION)


def _accusations(frameworks: tuple[str, ...], console: Console, results: Path | None) -> int:
    """Run the right implementations, print and write which of them are accused; returns the exit code."""
    from ..sharpness import kills, scoreboard
    from ..sharpness import mutants as catalogue

    with console.status("right implementations"):
        found = kills.observe(catalogue.right(frameworks), choices=kills.eagerly_and_traced())
    if results is not None:
        _write(results, frameworks, scoreboard.record_accused(found))
    console.print(scoreboard.accused_table(found))
    accused = [f"{name} in {dtype}: {', '.join(box.cases)}" for (name, dtype), box in found.items() if box.cases]
    print("\n".join(accused or ["none is accused"]))
    return REGRESSION if accused else PASS


def _exhibition(frameworks: tuple[str, ...], console: Console, results: Path | None) -> int:
    """Run the museum, print and write who sees what; returns the exit code."""
    from ..sharpness import museum

    with console.status("museum"):
        found = museum.museum(museum.exhibits(frameworks))
    if results is not None:
        _write(results, frameworks, museum.record_museum(found))
    console.print(museum.museum_table(found))
    print("\n".join(museum.museum_lines(found)))
    return REGRESSION if found.unseen or found.refuted else PASS


def _write(path: Path, frameworks: tuple[str, ...], record: dict[str, Any]) -> None:
    """Write a scoreboard as JSON, with the environment that it was made in."""
    from ..results.environment import environment

    versions = {name: framework_version(name) for name in frameworks}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"environment": environment(versions, numeric_setups()), **record}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
