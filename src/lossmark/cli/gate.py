"""The command that holds a change against what was there before: ``lossmark gate``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from ..errors import LossmarkError
from .options import OutcomeFormat, size_of


def gate(
    base: Annotated[str, typer.Option(help="a revision of this repository, or an implementation: FILE.py, name")],
    impl: Annotated[list[str] | None, typer.Option(help="what is gated: name or FILE.py (repeatable)")] = None,
    loss: Annotated[list[str] | None, typer.Option(help="only this loss (repeatable)")] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="conformance in this dtype only (repeatable)")] = None,
    mode: Annotated[list[str] | None, typer.Option(help="only this mode (repeatable; timed is eager)")] = None,
    case: Annotated[str, typer.Option(help="conformance of the cases that match only")] = "",
    size: Annotated[list[str] | None, typer.Option(help="batch and dimensions that are timed (repeatable)")] = None,
    threshold: Annotated[float, typer.Option(help="what is slower by less does not matter")] = 0.05,
    seconds: Annotated[float, typer.Option(help="the most that one benchmark may take")] = 30.0,
    install: Annotated[str, typer.Option(help="command that installs the base in an environment of its own")] = "",
    format_: Annotated[OutcomeFormat, typer.Option("--format", help="how to print the outcome")] = OutcomeFormat.text,
    output: Annotated[
        list[Path] | None, typer.Option("-o", "--output", help="also write .md, .json, .xml, .badge.json (repeatable)")
    ] = None,
) -> None:
    """Is anything wrong, costlier or slower than in the base? 0 no, 1 yes, 2 the machine cannot say, 3 not done."""
    from ..gate import formats, steps
    from ..gate.race import Terms

    if not 0 < threshold < 10 or not seconds > 0:
        raise LossmarkError(f"expected a threshold above 0 and below 10 and seconds above 0: {threshold}, {seconds}")
    written = [(path, formats.writer(path)) for path in output or ()]
    request = steps.Request(
        base, tuple(impl or ()), tuple(loss or ()), tuple(dtype or ()), tuple(mode or ()), case,
        tuple(size_of(given) for given in size or ("4096x128",)), Terms(threshold, seconds), install,
    )  # fmt: skip
    for number in (signal.SIGINT, signal.SIGTERM):  # a job in the background may have been started to ignore the first
        signal.signal(number, _interrupted)
    with Console(stderr=True).status("gate") as status:
        outcome = steps.gate(request, lambda words: status.update(words))
    for path, form in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(form(outcome) + "\n", encoding="utf-8")
    sys.stdout.write(formats.FORMATS[format_.value](outcome) + "\n")
    raise typer.Exit(outcome.exit_code)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """End a cancelled job as Ctrl-C ends it, so that it clears up."""
    raise KeyboardInterrupt
