"""The command that shows what wrong implementations the suite kills: ``lossmark mutants``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ..adapters.implementation import FRAMEWORKS
from ..adapters.installed import framework_version
from ..errors import PASS, REGRESSION

if TYPE_CHECKING:
    from ..sharpness.scoreboard import Scoreboard


def mutants(
    framework: Annotated[list[str] | None, typer.Option(help="only those of this framework (repeatable)")] = None,
    right: Annotated[bool, typer.Option("--right", help="instead, who would accuse right implementations")] = False,
    results: Annotated[Path | None, typer.Option(help="write the scoreboard as JSON, for the report")] = None,
) -> None:
    """The sharpness of the suite: wrong implementations that must be killed, and what other tests see of them."""
    from ..sharpness import mutants as catalogue
    from ..sharpness import scoreboard

    installed = tuple(framework or [name for name in FRAMEWORKS if framework_version(name)])
    console = Console()
    if right:
        raise typer.Exit(_accusations(installed, console))
    with console.status("mutants"):
        board = scoreboard.scoreboard(catalogue.mutants(installed))
    if results is not None:
        _write(board, installed, results)
    console.print(scoreboard.kills_table(board), scoreboard.totals_table(board))
    print("\n".join(scoreboard.summary(board)))
    raise typer.Exit(PASS if board.sharp else REGRESSION)


def _accusations(frameworks: tuple[str, ...], console: Console) -> int:
    """Run the right implementations and print which of them are accused; returns the exit code."""
    from ..sharpness import kills, scoreboard
    from ..sharpness import mutants as catalogue

    with console.status("right implementations"):
        found = kills.observe(catalogue.right(frameworks))
    console.print(scoreboard.accused_table(found))
    accused = [f"{name} in {dtype}: {', '.join(box.cases)}" for (name, dtype), box in found.items() if box.cases]
    print("\n".join(accused or ["none is accused"]))
    return REGRESSION if accused else PASS


def _write(board: Scoreboard, frameworks: tuple[str, ...], path: Path) -> None:
    """Write the scoreboard with its environment as JSON."""
    from ..results.environment import environment
    from ..sharpness import scoreboard

    versions = {name: framework_version(name) for name in frameworks}
    document = {"environment": environment(versions), **scoreboard.record(board)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
