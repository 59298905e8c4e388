"""The commands that keep results over time: ``lossmark history add | list | show``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..errors import LossmarkError
from ..results import history as kept
from .options import Format, wide_console

history_app = typer.Typer(help="Results over time: add, list, show.", no_args_is_help=True)
Folder = Annotated[Path, typer.Option(help="where runs are kept")]


@history_app.command()
def add(
    results: Annotated[list[Path], typer.Argument(help="results.jsonl, bench.parquet, gate.json of one run")],
    folder: Folder = kept.HISTORY_FOLDER,
) -> None:
    """Keep the results of a run."""
    print(kept.add(results, folder))


@history_app.command("list")
def list_(folder: Folder = kept.HISTORY_FOLDER) -> None:
    """The runs that are kept."""
    table = Table("run", "date", "commit", "machine", "figures")
    for run in _runs(folder):
        table.add_row(run.name, run.date, run.commit, run.machine, str(len(run.points)))
    wide_console().print(table)


@history_app.command()
def show(
    series: Annotated[list[str] | None, typer.Argument(help="names or patterns (default: those with steps)")] = None,
    folder: Folder = kept.HISTORY_FOLDER,
    format_: Annotated[Format, typer.Option("--format", help="how to print")] = Format.text,
) -> None:
    """Series with their steps: at which run a level changed, and by how much."""
    found = kept.series(_runs(folder), series or ("*",))
    found = [item for item in found if series or item.steps]
    if format_ is Format.json:
        print(json.dumps([asdict(item) for item in found], indent=1))
        return
    table = Table("series", "figure", "machine", "runs", "first", "last", "steps")
    for item in found:
        steps = "; ".join(f"× {step.after / step.before:.3f} at {step.run} {step.commit}" for step in item.steps)
        numbers = (str(len(item.values)), f"{item.values[0]:.4g}", f"{item.values[-1]:.4g}")
        table.add_row(item.name, item.figure, item.machine, *numbers, steps)
    wide_console().print(table)


def _runs(folder: Path) -> list[kept.KeptRun]:
    """The runs that are kept; raises :class:`LossmarkError` if there are none."""
    found = kept.runs(folder)
    if not found:
        raise LossmarkError(f"{folder}: no runs are kept there")
    return found
