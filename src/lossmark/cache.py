"""What is kept between runs because it takes long to make: exact numbers with their bounds, and compiled programs.

An entry is named by the digest of everything that it was made from, so that nothing is ever out of date: another
formula, case, dtype, revision of the readings or machine has another name. A damaged entry is taken for none. Writers
never see each other's halves: an entry is written beside its place and then moved there.

The environment variable LOSSMARK_CACHE names the folder in which the folder ``lossmark`` is made, to which nothing but
entries belongs; ``off`` keeps nothing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import platformdirs

LIMIT_BYTES = 1 << 30
"""What the folder may hold after :func:`trim`."""
TRIM_SECONDS = 600
"""How long :func:`tidy` leaves the folder alone."""
OFF = "off"


def cache_folder() -> Path | None:
    """Where entries lie; None where nothing is kept."""
    named = os.environ.get("LOSSMARK_CACHE", "")
    if named == OFF:
        return None
    return Path(named) / "lossmark" if named else platformdirs.user_cache_path("lossmark", appauthor=False)


@functools.cache
def machine_digest() -> str:
    """Names the processor's features and the interpreter: numbers and programs of another machine may differ."""
    text = repr((platform.machine(), platform.system(), sys.version, _processor(), np.finfo(np.longdouble).nmant))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _processor() -> tuple[str, ...]:
    """What the processor is and has, as Linux tells it; elsewhere only its name."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return tuple(
            sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
        )
    return (platform.processor(),)


def programs_folder(distributions: Iterable[str]) -> Path | None:
    """The folder for the compiled programs of a framework, by the versions of its distributions; None: keep none."""
    folder = cache_folder()
    if folder is None:
        return None
    versions = []
    for name in distributions:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{name}-{metadata.version(name)}")
    place = folder / "programs" / "_".join(versions) / machine_digest()
    with contextlib.suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
        return place
    return None


class Store:
    """Entries of one kind: bytes by the digest of what they were made from. Safe for many threads and processes."""

    def __init__(self, kind: str):
        folder = cache_folder()
        self._folder = None if folder is None else folder / kind

    def get(self, digest: str) -> bytes | None:
        """The entry, or None where there is none, or a damaged one."""
        if self._folder is None:
            return None
        path = self._folder / digest
        try:
            found = path.read_bytes()
            os.utime(path)  # the entries that nobody asks for are trimmed first
        except OSError:
            return None
        content = found[_CHECKSUM:]
        return content if _checksum(content) == found[:_CHECKSUM] else None

    def put(self, digest: str, *pieces: bytes | memoryview) -> None:
        """Keep the pieces as one entry; where that cannot be done, nothing is kept."""
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_checksum(*pieces))
                    for piece in pieces:
                        file.write(piece)
                os.replace(name, self._folder / digest)
            except OSError:
                os.unlink(name)


_CHECKSUM = 16


def _checksum(*pieces: bytes | memoryview) -> bytes:
    found = hashlib.blake2b(digest_size=_CHECKSUM)
    for piece in pieces:
        found.update(piece)
    return found.digest()


@dataclass(frozen=True)
class Kept:
    """What the folder holds of one kind: how many files, and their bytes."""

    kind: str
    files: int
    size: int


def inventory() -> list[Kept]:
    """What is kept, by kind."""
    folder = cache_folder()
    if folder is None or not folder.is_dir():
        return []
    found = []
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        sizes = [size for _, size, _ in _files(kind)]
        found.append(Kept(kind.name, len(sizes), sum(sizes)))
    return found


def clear() -> None:
    """Remove everything that is kept."""
    folder = cache_folder()
    if folder is not None and folder.is_dir():
        for kind in folder.iterdir():
            shutil.rmtree(kind, ignore_errors=True)


def tidy() -> None:
    """:func:`trim`, unless that was done a moment ago: it looks at every entry."""
    folder = cache_folder()
    if folder is None or not folder.is_dir():
        return
    mark = folder / "trimmed"
    with contextlib.suppress(OSError):
        if time.time() - mark.stat().st_mtime < TRIM_SECONDS:
            return
    with contextlib.suppress(OSError):
        mark.touch()
        trim()


def trim(limit: int = LIMIT_BYTES) -> None:
    """Remove what has not been asked for the longest, until the rest takes at most ``limit`` bytes."""
    folder = cache_folder()
    files = sorted(_files(folder)) if folder is not None and folder.is_dir() else []
    over = sum(size for _, size, _ in files) - limit
    for _, size, path in files:
        if over <= 0:
            return
        with contextlib.suppress(OSError):
            path.unlink()
            over -= size


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each file was last asked for, its bytes, and where it lies."""
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                about = path.stat()
                yield about.st_mtime, about.st_size, path
