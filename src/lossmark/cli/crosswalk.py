"""The command ``lossmark crosswalk``: what functions of other libraries compute, and whether they still do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

import typer

from ..crosswalk.functions import PeerLibrary, peer_libraries
from ..crosswalk.measure import Proved, measured, proved
from ..crosswalk.rows import CrosswalkRow, keep, kept_rows
from ..crosswalk.wording import by_dtype, matches, proofs, summary
from ..errors import PASS, REGRESSION, LossmarkError
from ..specification.library import losses
from .options import Format


def crosswalk(
    words: Annotated[list[str] | None, typer.Argument(help="words that a row must have", show_default=False)] = None,
    loss: Annotated[list[str] | None, typer.Option("--loss", help="of these specs alone")] = None,
    library: Annotated[list[str] | None, typer.Option("--library", help="of these libraries alone")] = None,
    check: Annotated[bool, typer.Option("--check", help="prove each row again with what is installed")] = False,
    write: Annotated[bool, typer.Option("--write", help="search anew for what is installed, and keep it")] = False,
    format_: Annotated[Format, typer.Option("--format", help="how to print")] = Format.text,
) -> int:
    """What functions of other libraries compute: a spec, the same after a mapping, or different, each proved by cases.

    With --check the exit code is 1 if a row is otherwise with what is installed; rows of libraries that are not
    installed are named and not proved.
    """
    libraries = peer_libraries()
    _known("library", library, libraries)
    _known("loss", loss, losses())
    if write:
        _write(libraries, library or list(libraries))
    rows = [row for row in kept_rows() if _chosen(row, " ".join(words or ()), loss, library)]
    found = list(_proved(libraries, rows)) if check else []
    now = {(each.row.library, each.row.function): each for each in found}
    if format_ is Format.json:
        print(json.dumps([_record(row, now.get((row.library, row.function)), check) for row in rows], indent=1))
    else:
        for row in rows:
            print("\n".join(_lines(row, now.get((row.library, row.function)), check)))
        if not rows:
            print("no row of the crosswalk has that")
    return REGRESSION if any(each.changed for each in found) else PASS


def _known(what: str, names: Sequence[str] | None, known: Iterable[str]) -> None:
    for name in names or ():
        if name not in known:
            raise LossmarkError(f"unknown {what} {name!r}, expected one of {', '.join(known)}")


def _chosen(row: CrosswalkRow, words: str, specs: Sequence[str] | None, libraries: Sequence[str] | None) -> bool:
    of_spec = not specs or row.spec in specs or any(spec in specs for spec in row.others)
    return of_spec and (not libraries or row.library in libraries) and matches(row, words)


def _write(libraries: Mapping[str, PeerLibrary], names: Sequence[str]) -> None:
    """Search anew for the rows of the libraries that are installed; the others stay as they are."""
    kept = {(row.library, row.function): row for row in kept_rows()}
    for name in names:
        if not libraries[name].version:
            print(f"{name} is not installed: its rows stay as they are", file=sys.stderr)
            continue
        kept = {key: row for key, row in kept.items() if row.library != name}
        for row in measured(name, libraries[name]):
            kept[row.library, row.function] = row
            print(f"{row.function}: {summary(row)}", file=sys.stderr)
        keep(kept.values())


def _proved(libraries: Mapping[str, PeerLibrary], rows: Sequence[CrosswalkRow]) -> Iterator[Proved]:
    for name in dict.fromkeys(row.library for row in rows):
        if name in libraries and libraries[name].version:
            yield from proved(name, libraries[name], [row for row in rows if row.library == name])


def _record(row: CrosswalkRow, now: Proved | None, check: bool) -> dict[str, object]:
    record: dict[str, object] = row.model_dump(mode="json")
    return record | ({"now": _now(now)} if check else {})


def _now(now: Proved | None) -> str:
    if now is None:
        return "not proved: the library is not installed"
    of = f"with {now.version}"
    return f"otherwise {of}: {now.changed}" if now.changed else f"proved again {of}"


def _lines(row: CrosswalkRow, now: Proved | None, check: bool) -> Iterator[str]:
    yield f"{row.function} ({row.library} {row.version}), {row.spec}: {summary(row)}"
    if check:
        yield f"    {_now(now)}"
        return
    for name, found in row.dtypes.items():
        yield f"    {name}: {by_dtype(found)}"
    for text in proofs(row):
        yield f"    {text}"
    for spec, case in row.others.items():
        yield f"    not {spec}: {case}"
    for name, (theirs, ours) in row.defaults.items():
        yield f"    {name} is {theirs} by default, {ours} in the spec"
