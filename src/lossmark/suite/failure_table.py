"""What does not conform as a table of counts: implementation × loss × check × dtype."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..dtypes import DTYPES

ROWS = 300
"""The most rows that the table has; of more it gives a row for each loss, or for each implementation."""


class TableKey(NamedTuple):
    """Where cells are counted."""

    impl: str
    loss: str
    check: str
    dtype: str


def failure_table(wrong: Mapping[TableKey, int]) -> Iterator[str]:
    """The lines of the table: cells with ``fail`` or ``error``, with a column for each dtype that has any.

    It is as detailed as :data:`ROWS` allow; implementations beyond them are counted in the last line.
    """
    if not wrong:
        return
    dtypes = [dtype for dtype in DTYPES if any(place.dtype == dtype for place in wrong)]
    rows: dict[tuple[str, ...], Counter[str]] = {}
    keys: Sequence[str] = ()
    for keys in (("impl", "loss", "check"), ("impl", "loss"), ("impl",)):
        rows = defaultdict(Counter)
        for place, count in wrong.items():
            rows[tuple(getattr(place, key) for key in keys)][place.dtype] += count
        if len(rows) <= ROWS:
            break
    shown = list(rows.items())[:ROWS]
    table = [[*keys, *dtypes], *([*row, *(str(counts[dtype] or "") for dtype in dtypes)] for row, counts in shown)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        texts = [text.ljust(width) for text, width in zip(line[: len(keys)], widths, strict=False)]
        numbers = [text.rjust(width) for text, width in zip(line[len(keys) :], widths[len(keys) :], strict=True)]
        yield "  ".join([*texts, *numbers])
    if len(rows) > ROWS:
        yield f"and {len(rows) - ROWS} more implementations"
