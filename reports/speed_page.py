"""What the page of speed tells: plain and fastest side by side, every row measured, and how figures have changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from lossmark.results.history import Series
from lossmark.timing.table import KEY, figures

from . import charts, comparison

DRAWN = 24
"""Series with steps that are drawn; of the others the page has the numbers only."""


def content(frame: pd.DataFrame | None, history: Sequence[Series]) -> dict[str, Any] | None:
    """What the template needs, of results of ``lossmark bench`` or ``run`` and a history; None without any."""
    if frame is None and not history:
        return None
    changed = [series for series in history if series.steps]
    return {
        "comparisons": [] if frame is None else comparison.comparisons(frame),
        "groups": [] if frame is None else list(_groups(frame)),
        "charts": [] if frame is None else list(_charts(frame)),
        "environment": {} if frame is None else frame.attrs.get("environment", {}),
        "history": [
            (series, charts.over_runs(series) if number < DRAWN else None) for number, series in enumerate(changed)
        ],
        "runs": max((len(series.values) for series in history), default=0),
    }


def _charts(frame: pd.DataFrame) -> Iterator[charts.Chart]:
    for loss in dict.fromkeys(frame["loss"]):
        for passes in ("fwd+bwd", "fwd"):
            chart = charts.speed(frame, loss, passes)
            if chart is not None:
                yield chart


def _groups(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for key, rows in frame.groupby(KEY, sort=False):
        loss, batch, width, dtype, device, passes, allocator = key
        title = f"{loss}, B = {batch}, D = {width}, {dtype}, {device}, {passes}, allocator {allocator}"
        plain = {
            row["framework"]: row["seconds"]
            for _, row in rows.iterrows()
            if row["impl"] == row["framework"] and row["mode"] == "eager"
        }
        yield {"title": title, "rows": [figures(row) | {"even": _break_even(row, plain)} for _, row in rows.iterrows()]}


def _break_even(row: pd.Series, plain: Mapping[str, float]) -> str:
    """The number of calls after which compiling has paid, against the plain implementation in eager mode."""
    saved = plain.get(row["framework"], math.nan) - row["seconds"]
    if math.isnan(saved) or math.isnan(row["compilation"]):
        return "–"
    return f"{math.ceil(row['compilation'] / saved):,}" if saved > 0 else "never"
