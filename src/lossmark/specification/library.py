"""The losses of a folder of spec files."""

from __future__ import annotations

import functools
from pathlib import Path

from ..errors import SpecError
from ..rooms import room
from . import assemble
from .loss import Loss


def losses(folder: Path | None = None) -> dict[str, Loss]:
    """Every loss of a spec folder (default: lossmark's own) by id, in order of name."""
    return _losses((folder or room("specs")).resolve())


@functools.cache
def _losses(folder: Path) -> dict[str, Loss]:
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise SpecError(f"no spec files (*.yaml) in {folder}")
    return {loss.id: loss for loss in map(assemble.load, paths)}
