"""The losses of a folder of spec files."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import SpecError
from ..rooms import room
from . import assemble
from .edges import EDGES_FILE, edges
from .loss import Loss


class Library(Mapping[str, Loss]):
    """The losses of a spec folder by id, in order of name; each file is read when its loss is asked for.

    Raises :class:`SpecError` for a folder without spec files, and for a file that is refused.
    """

    def __init__(self, folder: Path):
        self._paths = {path.stem: path for path in spec_files(folder)}
        self._read: dict[str, Loss] = {}
        if not self._paths:
            raise SpecError(f"no spec files (*.yaml) in {folder}")

    def __getitem__(self, loss: str) -> Loss:
        if loss not in self._read:
            self._read[loss] = assemble.load(self._paths[loss])
        return self._read[loss]

    def __contains__(self, loss: object) -> bool:
        return loss in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def losses(folder: Path | None = None) -> Library:
    """Every loss of a spec folder (default: lossmark's own)."""
    return _library((folder or room("specs")).resolve())


def spec_files(folder: Path) -> list[Path]:
    """The files of a folder that each describe a loss, in order of name."""
    return sorted(path for path in folder.glob("*.yaml") if path.name != EDGES_FILE)


def specs_digest(folder: Path | None = None) -> str:
    """Names what the spec files of a folder (default: lossmark's own) say, in 16 hexadecimal digits."""
    place, found = folder or room("specs"), hashlib.sha256()
    for path in [*spec_files(place), place / EDGES_FILE]:
        if path.is_file():
            found.update(f"{path.name}\0{path.read_text(encoding='utf-8')}\0".encode())
    return found.hexdigest()[:16]


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


_library = functools.cache(Library)
