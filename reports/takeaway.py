"""What people take away: JSON, CSV and Parquet of the cells, badges, a Markdown summary for a pull request."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from lossmark.results import plain_text as plain
from lossmark.results.cell import VERDICTS, Cell

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "|", "%")
"""Beginnings of a text that a spreadsheet would run, or take for a number."""
COLUMNS = (
    "loss", "case", "impl", "framework", "device", "dtype", "mode", "check", "verdict", "error_ulp", "budget_used",
    "detail", "retried",
)  # fmt: skip


def write(cells: Sequence[Cell], counts: Mapping[str, int], banner: Mapping[str, str], output: Path) -> None:
    """Write the cells as JSON, CSV and Parquet, the summary and the badges into the folder ``output``."""
    frame = pd.DataFrame([vars(cell) for cell in cells], columns=list(COLUMNS))
    frame.to_parquet(output / "cells.parquet", index=False)
    (output / "cells.csv.gz").write_bytes(gzip.compress(as_csv(cells).encode(), mtime=0))
    records = json.dumps([cell.record() for cell in cells], allow_nan=False)
    (output / "cells.json.gz").write_bytes(gzip.compress(records.encode(), mtime=0))
    (output / "summary.md").write_text(markdown(cells, counts, banner), encoding="utf-8")
    message = "pass" if banner["kind"] == "good" else "fail"
    colour = "brightgreen" if banner["kind"] == "good" else "red"
    (output / "badge.json").write_text(plain.badge(message, colour), encoding="utf-8")
    (output / "badge.svg").write_text(badge("lossmark", message, banner["kind"] == "good"), encoding="utf-8")


def as_csv(cells: Sequence[Cell]) -> str:
    """The cells as comma-separated values; a quote before what a spreadsheet would take for a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for cell in cells:
        writer.writerow([_harmless(getattr(cell, name)) for name in COLUMNS])
    return text.getvalue()


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = value.replace("\0", "\ufffd")
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value


def markdown(cells: Sequence[Cell], counts: Mapping[str, int], banner: Mapping[str, str]) -> str:
    """The verdict, the counts, and a row for each loss and implementation."""
    lines = [f"## lossmark: {banner['mark']} {plain.markdown(banner['text'])}", ""]
    lines += [", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS), ""]
    found: dict[tuple[str, str], Counter[str]] = {}
    for cell in cells:
        found.setdefault((cell.loss, cell.impl), Counter())[cell.verdict] += 1
    rows = ((*names, *(count[verdict] for verdict in VERDICTS)) for names, count in found.items())
    return "\n".join([*lines, *plain.table(("loss", "implementation", *VERDICTS), rows)])


def badge(label: str, message: str, good: bool) -> str:
    """A flat badge as SVG, made here and not by a service."""
    left, right = 7 * len(label) + 12, 7 * len(message) + 12
    colour = "#1a7f37" if good else "#b42318"
    label, message = escape(label), escape(message)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{label}: {message}"><title>{label}: {message}</title>'
        f'<rect width="{left}" height="20" fill="#444c56"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2}" y="14">{label}</text><text x="{left + right / 2}" y="14">{message}</text></g></svg>\n'
    )
