"""Charts, drawn when the report is built: SVG whose colours are the page's, with the numbers beside them as a table."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from lossmark.adapters.registry import load
from lossmark.dtypes import DTYPES
from lossmark.results.cell import Cell
from lossmark.results.history import Series
from lossmark.specification.hexfloat import parse
from lossmark.specification.loss import Loss
from lossmark.specification.model import CurveModel

INK, LINE = "#010101", "#020202"
"""Colours that stand for the page's own: each is replaced by a variable of the style sheet."""
SERIES = tuple(f"#0404{index:02x}" for index in range(8))
POWER = "'2^' + format(log(datum.value) / LN2, '.0f')"
SHAPES = ((1, 0), (6, 3), (2, 2), (8, 2, 2, 2))
POINTS = 121
QUANTILES = 41
SMALLEST = 2.0**-6
"""Where an error of 0 ulp is drawn on the logarithmic axis."""
LARGEST = 2.0**20
"""Where every larger one is: what is left after terms cancel may be any number of ulp away."""


@dataclass(frozen=True)
class Chart:
    """A drawing, what it shows in a sentence, and its numbers."""

    svg: str
    label: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def curves(loss: Loss) -> Chart | None:
    """The loss and its derivative along its score or distance; None for a loss whose spec has no curve."""
    curve = loss.model.curve
    if curve is None:
        return None
    frame = pd.DataFrame(_points(loss, curve), columns=["x", "what", "y"])
    base = alt.Chart(frame).encode(
        x=alt.X("x:Q", title=curve.axis),
        y=alt.Y("y:Q", title="loss, derivative"),
        color=alt.Color("what:N", title="", scale=alt.Scale(range=list(SERIES))),
        strokeDash=alt.StrokeDash("what:N", title="", scale=alt.Scale(range=[list(shape) for shape in SHAPES])),
    )
    label = f"{loss.model.title}: the loss and its derivative along the {curve.axis}"
    few = frame[frame["x"].isin(sorted(set(frame["x"]))[:: (POINTS - 1) // 8])]
    return Chart(svg(base.mark_line(), 520, 240, label), label, ("x", "curve", "value"), _rows(few))


def _points(loss: Loss, curve: CurveModel) -> Iterator[tuple[float, str, float]]:
    """Points of the curves, (x, which curve, y), from lossmark's own NumPy in float64."""
    numpy = load("numpy")
    xs = np.linspace(*map(parse, curve.ends), POINTS)
    arrays = {name: np.full(POINTS, parse(value)) for name, value in curve.fixed.items()} | {curve.along: xs}
    vectors = {item.name for item in loss.inputs if len(item.dims) > 1}
    shaped = {name: array[:, None] if name in vectors else array for name, array in arrays.items()}
    labels = [item.name for item in loss.inputs if item.label]
    for chosen in itertools.product((1.0, 0.0), repeat=len(labels)):
        given = shaped | {name: np.full(POINTS, value) for name, value in zip(labels, chosen, strict=True)}
        values = numpy.losses[loss.id](**given, reduction="none")
        slopes = numpy.gradients[loss.id](**given, reduction="none")[curve.along].reshape(-1)
        where = ",".join(f" {name} = {value:g}" for name, value in zip(labels, chosen, strict=True))
        for what, ys in (("loss", values), ("derivative", slopes)):
            yield from ((float(x), f"{what}{where}", float(y)) for x, y in zip(xs, ys, strict=True))


def accuracy(cells: Sequence[Cell]) -> Chart | None:
    """The distribution of distances from the true value, by implementation and dtype, and of the bound."""
    rows = list(_quantiles(cells))
    if not rows:
        return None
    frame = pd.DataFrame(rows, columns=["dtype", "who", "ulp", "share"])
    names = list(dict.fromkeys(frame["who"]))
    colours = [INK if name == "bound" else colour for name, colour in zip(names, itertools.cycle(SERIES), strict=False)]
    chart = (
        alt.Chart(frame)
        .mark_line(interpolate="step-after")
        .encode(
            x=alt.X("ulp:Q", title="distance in ulp", scale=alt.Scale(type="log", domain=[SMALLEST, LARGEST]),
                    axis=alt.Axis(values=[2.0**k for k in range(-6, 21, 4)], labelExpr=POWER)),
            y=alt.Y("share:Q", title="share of cells"),
            color=alt.Color("who:N", title="", sort=names, scale=alt.Scale(domain=names, range=colours)),
            strokeDash=alt.StrokeDash("who:N", title="", sort=names, scale=alt.Scale(
                domain=names, range=[list(shape) for _, shape in zip(names, itertools.cycle(SHAPES), strict=False)])),
            facet=alt.Facet("dtype:N", columns=2, title=None, sort=list(DTYPES)),
        )
    )  # fmt: skip
    label = "Share of cells whose distance from the true value is at most so many ulp, and the bound"
    few = frame[np.isclose(frame["share"] * 4 % 1, 0)]
    return Chart(svg(chart, 300, 170, label), label, ("dtype", "implementation", "ulp", "share of cells"), _rows(few))


def _quantiles(cells: Sequence[Cell]) -> Iterator[tuple[str, str, float, float]]:
    kept = [
        cell
        for cell in cells
        if cell.check in ("value", "gradient") and cell.error_ulp is not None and math.isfinite(cell.error_ulp)
    ]
    shares = np.linspace(0, 1, QUANTILES)
    for dtype in DTYPES:
        mine = [cell for cell in kept if cell.dtype == dtype]
        bounds = [c.error_ulp / c.budget_used for c in mine if c.error_ulp and c.budget_used and c.budget_used < 1e9]
        groups = {impl: [c.error_ulp for c in mine if c.impl == impl] for impl in dict.fromkeys(c.impl for c in mine)}
        for who, errors in (*groups.items(), ("bound", bounds)):
            if errors:
                found = np.quantile(np.clip(np.array(errors, float), SMALLEST, LARGEST), shares)
                yield from ((dtype, who, float(ulp), float(share)) for ulp, share in zip(found, shares, strict=True))


def speed(frame: pd.DataFrame, loss_id: str, passes: str) -> Chart | None:
    """Time against size, or beside the others where there is one size; with the quartiles of the rounds."""
    mine = frame[(frame["loss"] == loss_id) & (frame["passes"] == passes) & frame["seconds"].notna()]
    mine = mine[(mine["allocator"] == "warm") & (mine["dtype"] == "float32")]
    if mine.empty:
        return None
    found = pd.DataFrame(
        {
            "numbers": mine["batch"] * mine["width"], "low": mine["low"] * 1e3, "high": mine["high"] * 1e3,
            "ms": mine["seconds"] * 1e3, "who": mine["impl"] + " " + mine["mode"], "framework": mine["framework"],
        }
    )  # fmt: skip
    several = found["numbers"].nunique() > 1
    against = "against B × D" if several else f"at B × D = {found['numbers'].iloc[0]:,}"
    label = f"{loss_id}, {passes}: milliseconds of a call {against}, with the quartiles of the rounds"
    drawn = _against_size(found) if several else _beside(found)
    columns = ("B × D", "low", "high", "ms", "implementation", "framework")
    return Chart(
        svg(drawn, 300 if several else 520, 200 if several else 18 * len(found), label), label, columns, _rows(found)
    )


def _against_size(found: pd.DataFrame) -> alt.FacetChart:
    base = alt.Chart(found).encode(
        x=alt.X("numbers:Q", title="B × D", scale=alt.Scale(type="log"), axis=alt.Axis(format="~s", tickCount=5)),
        color=alt.Color("who:N", title="", scale=alt.Scale(range=list(SERIES))),
    )
    y = alt.Y("ms:Q", title="ms", scale=alt.Scale(type="log"), axis=alt.Axis(tickCount=5))
    lines = base.mark_line(point=True).encode(y=y) + base.mark_rule().encode(y=alt.Y("low:Q", title="ms"), y2="high:Q")
    return lines.facet(facet=alt.Facet("framework:N", title=None), columns=2)


def _beside(found: pd.DataFrame) -> alt.LayerChart:
    order = list(found.sort_values("ms")["who"])
    base = alt.Chart(found).encode(
        y=alt.Y("who:N", title="", sort=order, axis=alt.Axis(labelLimit=300)),
        color=alt.Color("framework:N", title="", scale=alt.Scale(range=list(SERIES))),
    )
    x = alt.X("ms:Q", title="ms", scale=alt.Scale(type="log"))
    return base.mark_point(filled=True, size=70).encode(x=x) + base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title="ms"), x2="high:Q"
    )


def over_runs(series: Series) -> Chart:
    """A figure over the runs of one machine, and the levels between its steps."""
    numbers = range(1, len(series.runs) + 1)
    frame = pd.DataFrame({"run": numbers, "name": series.runs, "value": series.values})
    frame["level"] = list(_levels(series))
    base = alt.Chart(frame).encode(x=alt.X("run:Q", title="run", axis=alt.Axis(format="d", tickMinStep=1)))
    scale = alt.Scale(zero=False)
    points = base.mark_point(filled=True, size=30, color=SERIES[0]).encode(
        y=alt.Y("value:Q", title=series.figure, scale=scale)
    )
    level = base.mark_line(interpolate="step", color=SERIES[1], strokeDash=list(SHAPES[1])).encode(y="level:Q")
    label = f"{series.name}: {series.figure} over {len(series.runs)} runs, and its levels"
    return Chart(svg(points + level, 520, 110, label), label, ("number", "run", series.figure, "level"), _rows(frame))


def _levels(series: Series) -> Iterator[float]:
    """The level at each run: what the next step starts from, after the last one what it leads to."""
    starts = [series.runs.index(step.run) for step in series.steps]
    for index in range(len(series.runs)):
        past = sum(start <= index for start in starts)
        yield series.steps[past].before if past < len(series.steps) else series.steps[-1].after


def _rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(map(_tidy, row)) for row in frame.itertuples(index=False, name=None)]


def _tidy(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


def svg(chart: Any, width: int, height: int | alt.Step, label: str) -> str:
    """The drawing with the page's colours and fonts, told to those who do not see it by its label."""
    inner = chart.spec if isinstance(chart, alt.FacetChart) else chart
    inner.width, inner.height = width, height
    axis = {"labelColor": INK, "titleColor": INK, "gridColor": LINE, "domainColor": LINE, "tickColor": LINE}
    chart = chart.configure(
        background="transparent",
        padding={"left": 30, "right": 10, "top": 5, "bottom": 5},
        view=alt.ViewConfig(stroke=LINE),
        axis=alt.AxisConfig(**axis),
    )
    chart = chart.configure_legend(
        labelColor=INK, titleColor=INK, orient="bottom", columns=4, labelLimit=300, columnPadding=30
    )
    chart = chart.configure_header(labelColor=INK)
    drawn = vl_convert.vegalite_to_svg(chart.to_json())
    names = {INK: "--ink", LINE: "--line"} | {c: f"--series-{i}" for i, c in enumerate(SERIES)}
    for colour, name in names.items():
        drawn = drawn.replace(colour, f"var({name})")
    drawn = re.sub(r'font-family="[^"]*"', "", drawn)
    title = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{title}" ', drawn, count=1)
