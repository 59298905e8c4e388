"""``python -m lossmark.reports.measured [SUBJECT] [FILES…]``: measure what the results pages show, and keep it.

Without a subject every subject is measured that is not yet kept at this revision. Interrupted, the same command goes
on after the last command that came to its end. With files nothing is measured: they are what the subject's commands
have written, here or on another machine.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lossmark import __version__
from lossmark.adapters.installed import framework_version, frameworks, numeric_setups
from lossmark.errors import LossmarkError
from lossmark.results.environment import environment

from . import record
from .condense import CONDENSE
from .subjects import OUT, SUBJECTS

ROOT = record.FOLDER.parents[1]
KEPT = record.FOLDER.relative_to(ROOT)


def measure(name: str, at: str) -> tuple[list[Path], float]:
    """Run a subject's commands; those that came to their end at the revision ``at`` before are not run again.

    Returns the files that they wrote and the seconds that they took. Raises :class:`LossmarkError` where one ends
    with an exit code that it should not.
    """
    marker = ROOT / OUT / f"{name}.done.json"
    marker.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(marker.read_text(encoding="utf-8")) if marker.is_file() else {}
    done: dict[str, float] = before["seconds"] if before.get("revision") == at else {}
    variables = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    for command in SUBJECTS[name].commands:
        if command.text in done:
            continue
        print(f"$ {command.text}", flush=True)
        (ROOT / command.file).unlink(missing_ok=True)
        start = time.monotonic()
        code = subprocess.run(command.text, shell=True, cwd=ROOT, env=variables, check=False).returncode
        if code not in command.codes:
            raise LossmarkError(f"{name}: exit code {code} of {command.text}")
        done[command.text] = time.monotonic() - start
        marker.write_text(json.dumps({"revision": at, "seconds": done}), encoding="utf-8")
    return [ROOT / command.file for command in SUBJECTS[name].commands], sum(done.values())


def keep(
    name: str,
    files: Sequence[Path],
    commands: Sequence[str],
    revision: str,
    seconds: float | None = None,
    gpu: str | None = None,
    folder: Path = record.FOLDER,
) -> Path:
    """Condense the files that a subject's commands wrote into one kept file; returns its path.

    Of files that say nothing of the machine it is this one, and the date that of the last file.
    """
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise LossmarkError(f"{name}: no such file: {', '.join(missing)}")
    found, data = CONDENSE[name](files)
    if found is None:
        last = max(file.stat().st_mtime for file in files)
        found = environment({name: framework_version(name) for name in frameworks()}, numeric_setups())
        found["date"] = datetime.fromtimestamp(last, UTC).isoformat(timespec="seconds")
    kept = record.Kept(
        subject=name,
        date=found["date"],
        command=list(commands),
        lossmark=__version__,
        revision=revision,
        machine=record.machine_of(found, gpu),
        versions=record.versions_of(found),
        seconds=None if seconds is None else round(seconds, 1),
        data=data.model_dump(),
    )
    return record.write(kept, folder)


def main(
    subject: Annotated[str | None, typer.Argument(help=f"one of {', '.join(SUBJECTS)} (default: all)")] = None,
    files: Annotated[list[Path] | None, typer.Argument(help="keep these instead of measuring")] = None,
    command: Annotated[list[str] | None, typer.Option(help="with files: what wrote them (repeatable)")] = None,
    revision: Annotated[str | None, typer.Option(help="with files: the commit that was measured")] = None,
    gpu: Annotated[str | None, typer.Option(help="with files: the GPU that they were measured on")] = None,
    into: Annotated[Path | None, typer.Option(help="with files: the folder to keep them in")] = None,
    show: Annotated[bool, typer.Option("--list", help="only show the commands, and about how long they take")] = False,
) -> None:
    """Measure the subjects of the results pages and keep them in reports/results."""
    if subject is not None and subject not in (CONDENSE if files else SUBJECTS):
        raise LossmarkError(f"unknown subject {subject!r}, known are {', '.join(SUBJECTS)}")
    if subject is not None and files:
        usual = [each.text for each in SUBJECTS[subject].commands] if subject in SUBJECTS else []
        print(
            keep(subject, files, command or usual, revision or record.revision(), gpu=gpu, folder=into or record.FOLDER)
        )
        return
    chosen = [subject] if subject else list(SUBJECTS)
    if show:
        for name in chosen:
            print(f"{name}, about {SUBJECTS[name].minutes} minutes")
            print("\n".join(f"  {each.text}" for each in SUBJECTS[name].commands))
        return
    failed = []
    for name in chosen:
        at = record.revision()
        if subject is None and _kept_at(name) == at and record.CHANGED not in at:
            print(f"{name}: kept at this revision")
            continue
        print(f"{name}: about {SUBJECTS[name].minutes} minutes", flush=True)
        try:
            written, seconds = measure(name, at)
            usual = [each.text for each in SUBJECTS[name].commands]
            print(keep(name, written, usual, at, seconds, folder=ROOT / KEPT), flush=True)
            (ROOT / OUT / f"{name}.done.json").unlink()
        except LossmarkError as error:
            print(error, file=sys.stderr)
            failed.append(name)
    if failed:
        raise LossmarkError(f"not kept: {', '.join(failed)}")


def _kept_at(name: str) -> str:
    path = ROOT / KEPT / f"{name}.json"
    return record.read(path).revision if path.is_file() else ""


if __name__ == "__main__":
    try:
        typer.run(main)
    except LossmarkError as error:
        print(f"lossmark: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
