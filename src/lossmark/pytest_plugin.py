"""The pytest plugin: the options of ``pytest conformance``, and nothing else until they are wanted.

pytest loads this module wherever lossmark is installed, so it imports next to nothing, and the options exist only where
the arguments name the conformance room: other people's projects keep theirs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .errors import HARNESS_ERROR, LossmarkError
from .rooms import room

ROOM = "lossmark.conformance"


def _names_room(argument: str) -> bool:
    if argument.startswith("-"):
        return False
    path = argument.split("::")[0]
    if path == ROOM or path.startswith(ROOM + "."):
        return True
    try:
        here = Path(path).resolve()
        return here.exists() and room("conformance").resolve() in (here, *here.parents)
    except LossmarkError:
        return False


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Add the options, if the arguments name the room."""
    if not any(map(_names_room, args)):
        return
    group = parser.getgroup("lossmark", "conformance of loss functions")
    group.addoption(
        "--impl",
        action="append",
        default=[],
        metavar="NAME|FILE.py|PKG.MODULE",
        help="run only this implementation (repeatable)",
    )
    group.addoption("--command", metavar="'PROGRAM ARGS'", help="run a program that speaks the protocol")
    group.addoption("--name", metavar="NAME", help="what results call the program of --command")
    group.addoption("--loss", action="append", default=[], metavar="ID", help="run only this loss (repeatable)")
    group.addoption("--device", default="cpu", metavar="cpu|gpu|all", help="where tensors live (default: cpu)")
    group.addoption("--dtype", action="append", default=[], metavar="DTYPE", help="run only this dtype (repeatable)")
    group.addoption(
        "--mode", action="append", default=[], metavar="MODE", help="run only this execution mode (repeatable)"
    )
    group.addoption("--case", default="", metavar="GLOB", help="run only cases whose id matches")
    group.addoption("--full", action="store_true", help="every family shape, every dtype compiled, nothing packed")
    group.addoption(
        "--expected", default="", metavar="FILE", help="known failures (default: expected.yaml of the room)"
    )
    group.addoption("--shard", default="", metavar="i/N", help="run one of N parts of the plan, for lossmark merge")
    group.addoption("--results", default="", metavar="FILE.jsonl", help="write the results as JSON lines")


def pytest_configure(config: pytest.Config) -> None:
    """Plan the run, if it is one of conformance; what cannot be planned ends it in one line, with exit code 3."""
    if not hasattr(config.option, "results"):
        return
    from .suite.first_failures import FirstFailures
    from .suite.plugin import Session

    try:
        session = Session(config)
    except LossmarkError as error:
        pytest.exit(f"lossmark: {error}", returncode=HARNESS_ERROR)
    config.pluginmanager.register(session, "lossmark session")
    if not session.worker:
        config.pluginmanager.register(FirstFailures(session.runs), "lossmark first failures")
