"""The command ``lossmark hunt``: the worst inputs of implementations, searched for."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import progress as bars
from rich.console import Console
from rich.table import Table

from ..errors import PASS, REGRESSION, LossmarkError
from ..golden.counterexample import Counterexample
from ..hunt.catch import AIMS
from ..hunt.on_ray import hunt_on_ray
from ..hunt.pool import Budget, hunt, simplest
from ..hunt.quarry import HUNTED, Quarry, quarries
from ..hunt.record import NAMED_BY, HuntState, QuarryKey, read_hunt, rows_of, write_hunt
from ..results.plain_text import line
from ..specification.library import losses
from ..suite.plan import Choice
from .options import Format, wide_console

EVALUATIONS = 4096
"""Candidates of each quarry where neither they nor seconds are given."""
SAVED_EACH = 10.0
"""Seconds after which the file is written anew."""


def hunt_(
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file of the worst inputs, to be gone on with")],
    impl: Annotated[list[str] | None, typer.Option(help="name, file or module (default: lossmark's own)")] = None,
    loss: Annotated[list[str] | None, typer.Option(help="only these losses", show_default=False)] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="only these dtypes", show_default=False)] = None,
    mode: Annotated[list[str] | None, typer.Option(help="only these modes", show_default=False)] = None,
    evaluations: Annotated[
        int | None, typer.Option(min=1, help=f"of each loss in each dtype and mode (default: {EVALUATIONS})")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="instead: for so long, shared by all alike")] = None,
    seed: Annotated[int, typer.Option(min=0, help="what is found depends on it alone, if --seconds is not given")] = 0,
    ray: Annotated[
        str | None, typer.Option(metavar="local|ADDRESS", help="on Ray: started here, or a cluster at an address")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="how to print")] = Format.text,
) -> int:
    """Search the inputs on which implementations take most of their bound, or are furthest off in ulp.

    A file that is there already is gone on with. What lies beyond its bound is made simple, and offered as a case; the
    exit code is then 1.
    """
    if evaluations is not None and seconds is not None:
        raise LossmarkError("--evaluations and --seconds: expected one of them")
    choice = Choice(tuple(impl or ()), tuple(loss or ()), "cpu", tuple(dtype or ()), tuple(mode or ()))
    found = quarries(losses(), choice)
    states = read_hunt(output, seed)
    budget = Budget(None if seconds is not None else evaluations or EVALUATIONS, seconds)
    try:
        with _Told(found, budget, states, output, seed) as told:
            if ray is None:
                hunt(found, seed, budget, dict(states), told)
            else:
                hunt_on_ray(found, seed, budget, dict(states), told, ray)
    finally:
        if states:
            write_hunt(output, seed, states)
    hunted = [(each, states[each.key]) for each in sorted(found, key=lambda each: each.key) if each.key in states]
    rows = [row for quarry, state in hunted for row in rows_of(quarry.key, state)]
    beyond = _beyond(hunted)
    if format_ is Format.json:
        print(json.dumps(rows, indent=1))
    else:
        wide_console().print(_table(hunted))
    for example in simplest(beyond):
        print("\n".join(_offer(example)), file=sys.stderr if format_ is Format.json else sys.stdout)
    return REGRESSION if beyond else PASS


def _beyond(hunted: Sequence[tuple[Quarry, HuntState]]) -> list[tuple[Quarry, HuntState]]:
    """Of each implementation, loss and dtype the mode that is furthest beyond its bound, if one is."""
    furthest: dict[QuarryKey, tuple[float, tuple[Quarry, HuntState]]] = {}
    for quarry, state in hunted:
        shares = [float(row[AIMS[0]]) for row in state["worst"] if row["beyond"]]
        if shares and max(shares) > furthest.get(quarry.key[:3], (-1.0,))[0]:
            furthest[quarry.key[:3]] = max(shares), (quarry, state)
    return [pair for _, pair in furthest.values()]


class _Told:
    """The progress of a hunt, and its file: told the state of a quarry whenever there is a new one."""

    def __init__(
        self, found: Sequence[Quarry], budget: Budget, states: dict[QuarryKey, HuntState], output: Path, seed: int
    ):
        columns = ("hunting", bars.BarColumn(), bars.TimeElapsedColumn(), bars.TextColumn("{task.description}"))
        self._bar = bars.Progress(*columns, console=Console(stderr=True))
        whole = budget.evaluations
        self._of_each = whole
        self._task = self._bar.add_task("", total=len(found) * whole if whole else budget.seconds)
        self._found, self._states, self._output, self._seed = found, states, output, seed
        self._begun = self._saved = time.monotonic()

    def __enter__(self) -> _Told:
        self._bar.start()
        return self

    def __exit__(self, *stopped: object) -> None:
        self._bar.stop()

    def __call__(self, quarry: Quarry, state: HuntState) -> None:
        self._states[quarry.key] = state
        now = time.monotonic()
        if now - self._saved > SAVED_EACH:
            write_hunt(self._output, self._seed, self._states)
            self._saved = time.monotonic()
        done: float = now - self._begun
        if self._of_each:
            known = [self._states.get(each.key, {"evaluations": 0})["evaluations"] for each in self._found]
            done = sum(min(self._of_each, evaluations) for evaluations in known)
        self._bar.update(self._task, completed=done, description=self._worst())

    def _worst(self) -> str:
        known = [each.key for each in self._found if each.key in self._states]
        rows = [row for key in known for row in rows_of(key, self._states[key])]
        if not rows:
            return ""
        worst = max(rows, key=lambda row: (row["beyond"], float(row[AIMS[0]])))
        names = " ".join(str(worst[name]) for name in (*NAMED_BY, "check"))
        return f"worst: {names} {_share(worst)}"


def _table(hunted: Sequence[tuple[Quarry, HuntState]]) -> Table:
    """A line for each quarry: how much was tried and judged; of each check the largest share of a bound, and of ulp."""
    checks = [f"{check}, {what}" for check in HUNTED for what in ("bound", "ulp")]
    table = Table("implementation", "loss", "dtype", "mode", "tried", "judged", *checks, "no result")
    for quarry, state in hunted:
        worst = {(row["check"], row["by"]): row for row in state["worst"]}
        cells = [_figure(worst.get((check, aim)), aim) for check in HUNTED for aim in AIMS]
        table.add_row(*quarry.key, str(state["evaluations"]), str(state["judged"]), *cells, line(state["reason"])[:60])
    return table


def _figure(row: Mapping[str, Any] | None, aim: str) -> str:
    if row is None:
        return ""
    return _share(row) if aim == AIMS[0] else f"{float(row[aim]):.3g}"


def _share(row: Mapping[str, Any]) -> str:
    return f"{float(row[AIMS[0]]):.3g}{' beyond' if row['beyond'] else ''}"


def _offer(example: Counterexample) -> Iterator[str]:
    """What was found, where it is written, and the command that makes it a case of the spec."""
    path = example.write()
    yield f"{example.impl}, {example.case.loss} in {example.dtype}: {line(example.detail)}"
    content = hashlib.sha256(b"".join(array.tobytes() for array in example.case.inputs.values())).hexdigest()
    name = f"{example.case.loss}/hunted-{example.dtype}-{content[:6]}"
    words = ["lossmark", "promote", str(path), "--id", name, "--why", f"{example.impl} is off in {example.dtype}"]
    yield f"    {shlex.join(words)}"
