"""The charts of a comparison: a row for each form, a panel for each loss, one chart for each of three questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import altair as alt
import pandas as pd

from .charts import INK, LINE, SERIES, Chart, svg

WIDTH, STEP = 230, 18
"""Pixels of a panel, and of a row in it: narrow enough for a telephone."""
RATIOS = [2.0**power for power in range(-6, 10)]
FRACTION = "datum.value < 1 ? '1/' + format(1 / datum.value, 'd') : format(datum.value, 'd')"
UNSEEN = "!isValid(datum.plain) && !isValid(datum.best)"
Lines = Sequence[dict[str, Any]]


def charts(lines: Lines) -> Iterator[Chart]:
    """How many times as fast, how near the limit, how much memory; a chart of nothing is left out.

    Each has all rows, so that they align where the charts stand side by side.
    """
    for drawn in (_ratios(lines), _limits(lines), _memory(lines)):
        if drawn is not None:
            yield drawn


def _ratios(lines: Lines) -> Chart | None:
    rows = [(x["loss"], x["form"], x["framework"], *(x["ratio"] or [None] * 3)) for x in lines]
    if all(row[3] is None for row in rows):
        return None
    frame = pd.DataFrame(rows, columns=["loss", "form", "framework", "ratio", "low", "high"])
    frame = frame.astype(dict.fromkeys(("ratio", "low", "high"), float))
    scale = alt.Scale(type="log", base=2, nice=False, padding=8)
    axis = alt.Axis(values=RATIOS, labelExpr=FRACTION, labelOverlap="greedy", labelSeparation=6, gridDash=[1, 3])
    base = alt.Chart(frame).encode(y=_rows(lines))
    colour = alt.Color("framework:N", legend=None, scale=alt.Scale(range=list(SERIES)))
    x = alt.X("ratio:Q", title="times as fast as the plain form", scale=scale, axis=axis)
    one = alt.Chart(frame).mark_rule(color=INK, strokeDash=[4, 3]).encode(x=alt.X(datum=1, scale=scale, axis=axis))
    whole = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", color=colour)
    label = "How many times as fast as its framework's plain form; the line is the interval, 1 is the plain form"
    columns = ("loss", "form", "framework", "times as fast", "from", "to")
    layers = (one, whole, base.mark_point(filled=True, size=60, opacity=1).encode(x=x, color=colour))
    return _drawn(layers, label, columns, _texts(rows, "{:.2f}".format))


def _limits(lines: Lines) -> Chart | None:
    scale = alt.Scale(domain=[0, 1], clamp=True)
    axis = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
    label = "The share of the machine's limit that is reached: plain form (ring), this form (dot)"
    return _dumbbells(lines, "limit", "of the machine's limit", label, scale, axis, "{:.0%}".format)


def _memory(lines: Lines) -> Chart | None:
    scale, axis = alt.Scale(domainMin=0, nice=True), alt.Axis(tickCount=5)
    label = "Peak memory of a call over its gradients, the least: plain form (ring), this form (dot)"
    return _dumbbells(lines, "memory", "peak over gradients", label, scale, axis, "{:.2f}".format)


def _dumbbells(
    lines: Lines, figure: str, title: str, label: str, scale: alt.Scale, axis: alt.Axis, text: Callable[[float], str]
) -> Chart | None:
    """A ring for the plain form and a dot for the other one, joined."""
    rows = [(x["loss"], x["form"], x["framework"], *x[figure]) for x in lines]
    if all(row[4] is None for row in rows):
        return None
    frame = pd.DataFrame(rows, columns=["loss", "form", "framework", "plain", "best"])
    frame = frame.astype({"plain": float, "best": float})
    base = alt.Chart(frame).encode(y=_rows(lines))
    colour = alt.Color("framework:N", legend=None, scale=alt.Scale(range=list(SERIES)))
    ring, dot = (alt.X(f"{name}:Q", title=title, scale=scale, axis=axis) for name in ("plain", "best"))
    layers = (
        base.mark_rule(strokeWidth=2, color=LINE).encode(x=ring, x2="best:Q"),
        base.mark_point(filled=False, size=45, strokeWidth=1.5, opacity=1).encode(x=ring, color=colour),
        base.mark_point(filled=True, size=60, opacity=1).encode(x=dot, color=colour),
        base.transform_filter(UNSEEN).mark_text(text="not seen", align="left", color=INK).encode(x=alt.value(6)),
    )
    columns = ("loss", "form", "framework", "plain", "this form")
    return _drawn(layers, label, columns, _texts(rows, text))


def _texts(rows: Sequence[tuple[Any, ...]], text: Callable[[float], str]) -> list[tuple[Any, ...]]:
    """The rows with their numbers, from the fourth column on, as texts."""
    return [(*row[:3], *("–" if value is None else text(value) for value in row[3:])) for row in rows]


def _rows(lines: Lines) -> alt.Y:
    """A row for each form, in the order of the lines, which every chart keeps."""
    axis = alt.Axis(labelLimit=150, ticks=False, domain=False, labelPadding=9)
    return alt.Y("form:N", title=None, sort=list(dict.fromkeys(line["form"] for line in lines)), axis=axis)


def _drawn(layers: Sequence[alt.Chart], label: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Chart:
    header = alt.Header(labelAnchor="start", labelOrient="top", labelFontWeight="bold", labelFontSize=12, title=None)
    chart = alt.layer(*layers).facet(facet=alt.Facet("loss:N", sort=None, header=header), columns=1)
    chart = chart.resolve_scale(y="independent")
    return Chart(svg(chart, WIDTH, alt.Step(STEP), label), label, columns, rows)
