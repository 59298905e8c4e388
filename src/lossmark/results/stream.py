"""A results file read line by line, for files that do not fit into memory or that strangers have written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .record import ResultsError

LONGEST_LINE = 1 << 20
"""Bytes that a line may have. A cell has about 500, a header as many more as a run has implementations."""


def scan(path: Path) -> Iterator[tuple[Mapping[str, Any], bytes]]:
    """The records of a results file, the header first, each with its line.

    A last line that was cut off, as the run died, is left out. Raises :class:`ResultsError` for anything that is no
    results file.
    """
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise ResultsError(f"{path}:{number}: a line of more than {LONGEST_LINE} bytes")
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    if number > 1 and not stream.read(1):
                        return
                    raise ResultsError(f"{path}:{number}: not a JSON line") from None
                kind = record.get("kind") if isinstance(record, dict) else None
                if kind is None or (kind == "header") != (number == 1):
                    raise ResultsError(f"{path}:{number}: {_unexpected(number)}")
                yield record, line
            if not number:
                raise ResultsError(f"{path}: empty, this is not a lossmark results file")
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None


def _unexpected(number: int) -> str:
    return "no header, this is not a lossmark results file" if number == 1 else "neither a cell nor a footer"
