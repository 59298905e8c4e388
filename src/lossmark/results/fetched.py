"""Results files of strangers, brought here: from a folder, or from a list of addresses and files.

What is fetched is bounded in bytes and in time, comes by http(s) alone, and is read as text and nothing else.
"""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ..errors import LossmarkError

LARGEST_FILE = 256 << 20
"""Bytes of a results file, about four times those of the default plan."""
LONGEST_FETCH = 120.0
"""Seconds until all of a file has come."""
SILENCE = 20.0
"""Seconds without a byte."""
CHUNK = 1 << 16
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,79}")
"""What a report, or its version, may be called."""


class FetchError(LossmarkError):
    """A results file could not be brought here."""


@dataclass(frozen=True)
class Address:
    """Where results of a version of something lie: an http(s) address or a file."""

    name: str
    version: str
    where: str


def addresses(source: Path) -> list[Address]:
    """What a folder or a list holds.

    A folder has ``NAME.jsonl`` and ``NAME/VERSION.jsonl``. A list has ``NAME ADDRESS`` or ``NAME VERSION ADDRESS`` a
    line, with empty lines and lines of comment (``#``); files are looked for beside it. Raises :class:`LossmarkError`
    for a list that is malformed, and for a folder without results.
    """
    if source.is_dir():
        paths = [*sorted(source.glob("*.jsonl")), *sorted(source.glob("*/*.jsonl"))]
        found = [_of_file(path, source) for path in paths]
    else:
        try:
            lines = source.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise LossmarkError(f"{source}: cannot be read: {error}") from None
        found = list(_listed(lines, source))
    if not found:
        raise LossmarkError(f"{source}: names no results")
    return found


def _of_file(path: Path, folder: Path) -> Address:
    inside = path.relative_to(folder)
    name, version = (inside.stem, "") if len(inside.parts) == 1 else (inside.parts[0], inside.stem)
    return _address(name, version, str(path), f"{path}")


def _listed(lines: list[str], source: Path) -> Iterator[Address]:
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) not in (2, 3):
            raise LossmarkError(f"{source}:{number}: expected NAME [VERSION] ADDRESS, found {line!r}")
        where = words[-1] if "://" in words[-1] else str(source.parent / words[-1])
        yield _address(words[0], words[1] if len(words) == 3 else "", where, f"{source}:{number}")


def _address(name: str, version: str, where: str, place: str) -> Address:
    for word in (name, version):
        if word and not NAME.fullmatch(word):
            raise LossmarkError(f"{place}: {word!r} names no report or version: letters, digits and ._+/- do")
    return Address(name, version, where)


def fetch(address: Address, folder: Path) -> Path:
    """The file of an address; one from elsewhere is written into ``folder``. Raises :class:`FetchError`."""
    if "://" in address.where:
        return _downloaded(address.where, folder)
    path = Path(address.where)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise FetchError(f"cannot be read: {error.strerror}") from None
    if not path.is_file() or size > LARGEST_FILE:
        raise FetchError(f"is no file of at most {LARGEST_FILE} bytes")
    return path


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http(s) alone."""

    def redirect_request(self, request: Any, stream: Any, code: int, words: str, headers: Any, target: str) -> Any:
        _only_http(target)
        return super().redirect_request(request, stream, code, words, headers, target)


def _only_http(where: str) -> None:
    scheme = urllib.parse.urlsplit(where).scheme
    if scheme not in ("http", "https"):
        raise FetchError(f"{scheme}: is not fetched, http and https are")


def _downloaded(where: str, folder: Path) -> Path:
    _only_http(where)
    until, size = time.monotonic() + LONGEST_FETCH, 0
    path = folder / "fetched.jsonl"
    request = urllib.request.Request(where, headers={"User-Agent": "lossmark collect"})
    try:
        with urllib.request.build_opener(_Redirects).open(request, timeout=SILENCE) as stream, path.open("wb") as file:
            while chunk := stream.read1(CHUNK):
                size += len(chunk)
                if size > LARGEST_FILE:
                    raise FetchError(f"has more than {LARGEST_FILE} bytes")
                if time.monotonic() > until:
                    raise FetchError(f"did not come within {LONGEST_FETCH:.0f} s")
                file.write(chunk)
    except urllib.error.HTTPError as error:
        raise FetchError(f"cannot be fetched: HTTP {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise FetchError(f"cannot be fetched: {error}") from None
    return path
