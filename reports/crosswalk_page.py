"""What the page of the crosswalk tells: functions of other libraries, each with its relation to a spec and proofs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lossmark.crosswalk.rows import CrosswalkRow, kept_rows
from lossmark.crosswalk.wording import by_dtype, proofs, summary

PAGE = "crosswalk.html"


def content(path: Path | None = None) -> dict[str, Any]:
    """What the template needs, of a file of rows (default: lossmark's own)."""
    rows = kept_rows(path)
    return {"measured": max(row.measured for row in rows), "rows": [_row(row) for row in rows]}


def _row(row: CrosswalkRow) -> dict[str, Any]:
    return {
        "function": row.function,
        "library": f"{row.library} {row.version}",
        "spec": row.spec,
        "relation": row.relation,
        "summary": summary(row),
        "call": row.call,
        "dtypes": [(name, by_dtype(found)) for name, found in row.dtypes.items()],
        "proofs": list(proofs(row)),
        "others": row.others,
        "defaults": row.defaults,
        "words": " ".join([row.library, row.function, row.spec, row.spec.replace("_", " "), summary(row)]).lower(),
    }
