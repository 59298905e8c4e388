"""What the page of speed tells: times, share of the limit, memory, traffic, and when compiling pays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from lossmark.history import Series

from . import charts

GROUP = ["loss", "batch", "width", "dtype", "passes", "allocator"]


def content(frame: pd.DataFrame | None, timings: Any, history: Sequence[Series]) -> dict[str, Any] | None:
    """Everything the template needs; None where nothing was timed."""
    if frame is None and timings is None and not history:
        return None
    return {
        "groups": [] if frame is None else list(_groups(frame)),
        "charts": [] if frame is None else list(_charts(frame)),
        "environment": {} if frame is None else frame.attrs.get("environment", {}),
        "timings": timings,
        "history": [series for series in history if series.steps],
        "runs": max((len(series.values) for series in history), default=0),
    }


def _charts(frame: pd.DataFrame) -> Iterator[charts.Chart]:
    for loss in dict.fromkeys(frame["loss"]):
        for passes in ("fwd+bwd", "fwd"):
            chart = charts.speed(frame, loss, passes)
            if chart is not None:
                yield chart


def _groups(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for key, rows in frame.groupby(GROUP, sort=False):
        loss, batch, width, dtype, passes, allocator = key
        title = f"{loss}, B = {batch}, D = {width}, {dtype}, {passes}, allocator {allocator}"
        plain = {
            row["framework"]: row["seconds"]
            for _, row in rows.iterrows()
            if row["impl"] == row["framework"] and row["mode"] == "eager"
        }
        yield {"title": title, "rows": [_row(row, plain.get(row["framework"])) for _, row in rows.iterrows()]}


def _row(row: pd.Series, plain: float | None) -> dict[str, str]:
    ratio = f"{row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})" if _is(row["ratio"]) else "–"
    memory = f"{row['peak'] / row['results']:.2f}" if _is(row["peak"]) and row["results"] else "–"
    return {
        "impl": row["impl"], "mode": row["mode"], "time": _time(row["seconds"]), "ratio": ratio,
        "limit": f"{row['limit']:.0%}" if _is(row["limit"]) else "–", "memory": memory,
        "traffic": f"{row['traffic']:.1f}" if _is(row.get("traffic")) else "–",
        "even": _break_even(row, plain), "reason": row["reason"],
    }  # fmt: skip


def _break_even(row: pd.Series, plain: float | None) -> str:
    """After how many calls compiling has paid, against the plain form in eager mode."""
    if not _is(row["compilation"]) or not _is(plain) or plain is None:
        return "–"
    saved = plain - row["seconds"]
    return f"{math.ceil(row['compilation'] / saved):,}" if saved > 0 else "never"


def _is(value: Any) -> bool:
    return value is not None and value == value


def _time(seconds: float) -> str:
    if not _is(seconds):
        return "–"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"
