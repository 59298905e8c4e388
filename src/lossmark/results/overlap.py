"""Which cells several results files have, kept in a table on disk."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar

WORSE_FIRST = ("fail", "error", "not-run", "unsupported", "deviates", "pass")
"""Verdicts, the one that says least for an implementation first: of two machines the worse counts."""
COMPARED = ("verdict", "error_ulp", "budget_used")
"""What is compared of a cell: equal numbers are as good as equal bits, and a file of them is a thousandth the size."""

Differing = list[tuple[int, dict[str, Any]]]
"""Files by number, with what each says of a cell on which they do not agree."""


class Overlap:
    """The cells of files by number; a context manager, after which nothing is left."""

    KEY: ClassVar = ("impl", "framework", "device", "dtype", "mode", "loss", "case", "check")
    """What names a cell in all files."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lossmark-merge-")
        self._table = sqlite3.connect(f"{self._folder.name}/cells", isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -65536"):
            self._table.execute(f"PRAGMA {pragma}")
        self._table.execute(
            "CREATE TABLE cells (name BLOB, file INT, worst INT, said TEXT, PRIMARY KEY (name, file)) WITHOUT ROWID"
        )
        self._counts: dict[int, int] = {}
        self._distinct: int | None = None

    def __enter__(self) -> Overlap:
        self._table.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.close()
        self._folder.cleanup()

    def add(self, file: int, record: Mapping[str, Any]) -> bool:
        """Take down a cell of a file; false where the file has it already."""
        row = (_name(record), file, WORSE_FIRST.index(record["verdict"]), json.dumps([record.get(x) for x in COMPARED]))
        added = self._table.execute("INSERT OR IGNORE INTO cells VALUES (?, ?, ?, ?)", row).rowcount > 0
        self._counts[file] = self._counts.get(file, 0) + added
        return added

    def count(self, file: int) -> int:
        """The number of cells of a file."""
        return self._counts.get(file, 0)

    def distinct(self) -> int:
        """The number of cells that all files have together, each counted once."""
        if self._distinct is None:
            (self._distinct,) = self._table.execute("SELECT COUNT(DISTINCT name) FROM cells").fetchone()
        return int(self._distinct or 0)

    def kept(self, file: int, record: Mapping[str, Any]) -> Differing | None:
        """What each file says of a cell, nothing if all say the same; None where another file's cell counts.

        That of the worst verdict does, of equal ones that of the first file.
        """
        if self._none():
            return []
        every = "SELECT file, said FROM cells WHERE name = ? ORDER BY worst, file"
        found = self._table.execute(every, (_name(record),)).fetchall()
        if found[0][0] != file:
            return None
        if len({said for _, said in found}) < 2:
            return []
        return [(number, dict(zip(COMPARED, json.loads(said), strict=True))) for number, said in sorted(found)]

    def _none(self) -> bool:
        """Whether no cell is in several files."""
        return self.distinct() == sum(self._counts.values())


def _name(record: Mapping[str, Any]) -> bytes:
    text = "\0".join(str(record[name]) for name in Overlap.KEY)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
