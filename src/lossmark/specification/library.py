"""The losses of a folder of spec files."""

from __future__ import annotations

import functools
from pathlib import Path

from ..errors import SpecError
from ..rooms import room
from . import assemble
from .edges import EDGES_FILE, edges
from .loss import Loss


def losses(folder: Path | None = None) -> dict[str, Loss]:
    """Every loss of a spec folder (default: lossmark's own) by id, in order of name."""
    return _losses((folder or room("specs")).resolve())


def spec_files(folder: Path) -> list[Path]:
    """The files of a folder that each describe a loss, in order of name."""
    return sorted(path for path in folder.glob("*.yaml") if path.name != EDGES_FILE)


def read_all(folder: Path) -> tuple[list[Loss], list[str]]:
    """The losses of a folder that can be read, and for every other file, ``edges.yaml`` too, why it is refused."""
    found, refused = [], []
    for path in spec_files(folder):
        try:
            found.append(assemble.load(path))
        except SpecError as error:
            refused.append(str(error))
    try:
        if (folder / EDGES_FILE).exists():
            edges(folder)
    except SpecError as error:
        refused.append(str(error))
    return found, refused


@functools.cache
def _losses(folder: Path) -> dict[str, Loss]:
    paths = spec_files(folder)
    if not paths:
        raise SpecError(f"no spec files (*.yaml) in {folder}")
    return {loss.id: loss for loss in map(assemble.load, paths)}
