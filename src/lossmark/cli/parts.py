"""The command that joins what several machines have run: ``lossmark merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import PASS, REGRESSION
from ..results.cell import VERDICTS
from ..results.merge import Merged
from ..results.merge import merge as joined


def merge(
    parts: Annotated[list[Path], typer.Argument(help="results files of the parts of one plan")],
    output: Annotated[Path, typer.Option("-o", "--output", help="the results file of the whole")],
) -> None:
    """Join parts of one plan: 1 if something is missing or machines disagree, 3 for parts that do not belong together.

    A whole that lacks something has no footer, and its report says so.
    """
    found = joined(parts, output)
    for line in _lines(found, output):
        print(line)
    raise typer.Exit(PASS if found.right else REGRESSION)


def _lines(found: Merged, output: Path) -> list[str]:
    lines = [*found.missing, *found.replaced, *found.named, *found.complaints]
    for differs, words in (("verdict", "their verdict"), ("numbers", "their numbers alone, with the same verdict")):
        if found.differing[differs]:
            lines.append(f"{found.differing[differs]} cells differ between files in {words}; all are in {output}")
    lines.append(", ".join(f"{found.counts[verdict]} {verdict}" for verdict in VERDICTS))
    state = "incomplete, without a footer" if found.missing else "complete"
    return [*lines, f"{found.counts.total()} of {found.planned} planned cells in {output}, {state}"]
