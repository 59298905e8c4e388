"""Plain and fastest side by side: for every loss and framework time, share of the machine's limit, and memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lossmark.timing.ratio import CONFIDENCE, LEAST_PAIRS
from lossmark.timing.table import time_text

from . import comparison_charts

SETTING = ["batch", "width", "dtype", "device", "passes", "allocator"]
"""What rows have in common that are compared with each other."""
DRAWN = 8
"""Settings with charts; of the others the page has the table only."""
POLICIES = {
    "default": "the allocator's default policy: large blocks go back to the system, every call takes new pages",
    "warm": "a warm allocator, which keeps what is given back; peak memory cannot be seen under it",
    "framework": "the allocator of the framework on the device",
}


def comparisons(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """What each setting of a benchmark says, the largest first: lines, charts, and how it was measured in words."""
    found = [_comparison(setting, rows) for setting, rows in frame.groupby(SETTING, sort=False)]
    largest = sorted((each for each in found if each["lines"]), key=lambda each: each["numbers"], reverse=True)
    drawn = [list(comparison_charts.charts(each["lines"])) if n < DRAWN else [] for n, each in enumerate(largest)]
    return [each | {"charts": charts} for each, charts in zip(largest, drawn, strict=True)]


def _comparison(setting: Any, rows: pd.DataFrame) -> dict[str, Any]:
    batch, width, dtype, device, passes, allocator = setting
    lines = list(_lines(rows))
    rounds = sorted({line["rounds"] for line in lines})
    return {
        "title": f"B = {batch:,}, D = {width:,}, {dtype}, {passes}, {device}, {allocator} allocator",
        "numbers": batch * width,
        "call": "Loss and gradient" if passes == "fwd+bwd" else "The loss alone",
        "policy": POLICIES.get(allocator, allocator),
        "rounds": "" if not rounds else " to ".join(str(x) for x in dict.fromkeys((rounds[0], rounds[-1]))),
        "few": bool(rounds) and rounds[0] < LEAST_PAIRS,
        "least": LEAST_PAIRS,
        "confidence": f"{CONFIDENCE:.0%}",
        "lines": lines,
        "untimed": [(row.loss, row.impl, row.reason) for row in rows[rows["seconds"].isna()].itertuples()],
    }


def _lines(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """For each loss and framework the fastest of lossmark's forms, and each guest at its fastest, beside the plain."""
    timed = rows[rows["seconds"].notna()]
    for (loss, framework), mine in timed.groupby(["loss", "framework"], sort=False):
        is_plain = (mine["impl"] == framework) & (mine["mode"] == "eager")
        plain = mine[is_plain].iloc[0] if is_plain.any() else None
        others = mine[~is_plain]
        ours = others["impl"].isin([framework, f"{framework}-fused"])
        for group in (others[ours], *(each for _, each in others[~ours].groupby("impl", sort=False))):
            if not group.empty:
                yield _line(loss, framework, plain, group.loc[group["seconds"].idxmin()])
        if others[ours].empty and plain is not None:
            yield _line(loss, framework, plain, plain)


def _line(loss: str, framework: str, plain: pd.Series | None, best: pd.Series) -> dict[str, Any]:
    """One form beside the plain one, which may be missing, or the same."""
    alone = plain is None or plain is best
    return {
        "loss": loss,
        "framework": framework,
        "form": best["impl"] + ("" if best["mode"] == "eager" else f" {best['mode']}"),
        "times": (None if alone else time_text(plain["seconds"]), time_text(best["seconds"])),
        "ratio": None if alone or pd.isna(best["ratio"]) else (best["ratio"], best["ratio_low"], best["ratio_high"]),
        "limit": (None if alone else _known(plain["limit"]), _known(best["limit"])),
        "memory": (None if alone else _memory(plain), _memory(best)),
        "rounds": int(best["rounds"]),
        "remark": best["reason"],
    }


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _memory(row: pd.Series) -> float | None:
    """Peak over the least that a call has to hold beside its inputs: its gradients."""
    return None if pd.isna(row["peak"]) or not row["results"] > 0 else float(row["peak"] / row["results"])
