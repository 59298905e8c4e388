"""Cells as the pages show them: boxes by dtype, the league of implementations, and columns that a browser unpacks."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lossmark.dtypes import DTYPES
from lossmark.results.cell import Cell

WORST_FIRST = ("fail", "error", "deviates", "pass", "not-run", "unsupported")
MARKS = {"pass": "✓", "deviates": "≈", "fail": "✗", "error": "!", "unsupported": "–", "not-run": "○"}
CODED = ("loss", "impl", "framework", "dtype", "mode", "device", "case", "check", "verdict", "detail", "retried")
"""Columns whose texts are kept once, and numbered."""


def boxes(cells: Sequence[Cell]) -> dict[str, dict[str, Any] | None]:
    """By dtype, a :func:`box` of the cells, or None where there are none."""
    found = grouped(cells, lambda cell: cell.dtype)
    return {dtype: box(found.get(dtype, [])) for dtype in DTYPES}


def box(cells: Sequence[Cell]) -> dict[str, Any] | None:
    """The worst verdict of some cells, its mark, the counts and the spread; None if there are no cells."""
    if not cells:
        return None
    counts = Counter(cell.verdict for cell in cells)
    worst = next(verdict for verdict in WORST_FIRST if counts[verdict])
    return {"verdict": worst, "mark": MARKS[worst], "counts": dict(counts), "spread": spread(cells)}


def spread(cells: Iterable[Cell]) -> dict[str, float] | None:
    """Median and largest distance in ulp of values and gradients, and the largest share of the bound.

    None where no cell has a finite distance.
    """
    mine = [cell for cell in cells if cell.check in ("value", "gradient") and _finite(cell.error_ulp)]
    errors = sorted(cell.error_ulp for cell in mine if cell.error_ulp is not None)
    used = [cell.budget_used for cell in mine if cell.budget_used is not None]
    if not errors:
        return None
    return {"median": errors[len(errors) // 2], "largest": errors[-1], "budget": max(used, default=0.0)}


def league(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Implementations over all losses, the nearest to the true values first (by the median ulp over dtypes)."""
    rows = []
    for impl, mine in grouped(cells, lambda cell: cell.impl).items():
        found = {dtype: spread(cell for cell in mine if cell.dtype == dtype) for dtype in DTYPES}
        medians = [each["median"] for each in found.values() if each]
        if medians:
            rows.append({"impl": impl, "page": impl_page(impl), "boxes": found, "key": sum(medians) / len(medians)})
    return sorted(rows, key=lambda row: (row["key"], row["impl"]))


def grouped(cells: Iterable[Cell], by: Callable[[Cell], Any]) -> Mapping[Any, list[Cell]]:
    """Cells by what they have in common, in order of appearance."""
    found: dict[Any, list[Cell]] = defaultdict(list)
    for cell in cells:
        found[by(cell)].append(cell)
    return found


def packed(cells: Sequence[Cell]) -> str:
    """The cells by column, texts numbered, as gzip in base64: a hundredth of the size of the rows as HTML."""
    columns: dict[str, Any] = {}
    for name in CODED:
        texts: dict[str, int] = {}
        numbers = [texts.setdefault(getattr(cell, name), len(texts)) for cell in cells]
        columns[name] = {"texts": list(texts), "rows": numbers}
    for name in ("error_ulp", "budget_used"):
        columns[name] = [_number(getattr(cell, name)) for cell in cells]
    text = json.dumps(columns, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def tried_twice(cells: Iterable[Cell]) -> list[tuple[str, str, int]]:
    """Implementations whose process was lost once, with how it was lost and the number of cells, the most first."""
    found = Counter((cell.impl, cell.retried) for cell in cells if cell.retried)
    return [(impl, why, count) for (impl, why), count in found.most_common()]


def _number(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return None if value is None else float(f"{value:.4g}")
    return str(value)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def impl_page(name: str) -> str:
    """The file of an implementation's page; whatever the name holds, this is a plain file name."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"impl-{plain or 'unnamed'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}.html"


def anchor(key: str) -> str:
    """The id of a cell's element."""
    return f"cell-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
