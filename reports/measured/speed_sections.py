"""The tables of benchmarks: a short one that compares frameworks, and every row."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lossmark.results import plain_text

from . import data

Lines = Iterator[str]
Rows = Sequence[Mapping[str, Any]]
HEAD = ("loss", "B", "D", "dtype", "pass", "implementation", "mode")
PLACE = ("loss", "batch", "width", "dtype")


def speed(found: data.Speed) -> Lines:
    """Times as fast as the plain form, share of the limit, and all rows."""
    rows = found.times.records()
    for title, figure, show in (
        ("How many times as fast as the plain form in eager mode the fastest form is", "ratio", _fastest),
        ("The share of the limit that the fastest form reaches", "limit", _nearest),
    ):
        yield f"{title}, {' / '.join(_kinds(rows, 'passes'))}:"
        yield ""
        yield from _by_framework(rows, figure, show)
    yield from _all(rows)


def _by_framework(rows: Rows, figure: str, show: Any) -> Lines:
    """A row per loss and size, a column per framework, the best of each pass."""
    frameworks, passes = _kinds(rows, "framework"), _kinds(rows, "passes")
    table = []
    for place in dict.fromkeys(_where(row) for row in rows):
        mine = [row for row in rows if _where(row) == place and row[figure] is not None]
        boxes = []
        for framework in frameworks:
            best = [_best(mine, figure, framework=framework, passes=each) for each in passes]
            boxes.append(" / ".join(show(row) if row else "–" for row in best))
        loss, batch, width, dtype = place
        table.append((loss, f"{batch:,}", f"{width:,}", dtype, *boxes))
    yield from plain_text.table((*HEAD[:4], *frameworks), table)


def _where(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in PLACE)


def _best(rows: Rows, figure: str, **wanted: str) -> Mapping[str, Any] | None:
    mine = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return max(mine, key=lambda row: row[figure], default=None)


def _fastest(row: Mapping[str, Any]) -> str:
    return f"{row['ratio']:.1f} {_form(row)}"


def _nearest(row: Mapping[str, Any]) -> str:
    return f"{row['limit'] * 100:.0f} % {_form(row)}"


def _form(row: Mapping[str, Any]) -> str:
    """The implementation without its framework's name, and the mode."""
    form = row["impl"].removeprefix(row["framework"]).removeprefix("-") or "plain"
    return f"{form}, {row['mode']}"


def _kinds(rows: Rows, name: str) -> list[str]:
    return list(dict.fromkeys(row[name] for row in rows))


def _all(rows: Rows) -> Lines:
    yield "Every row, the ratio with its interval:"
    yield ""
    yield from plain_text.table(
        (*HEAD, "time", "times as fast", "of the limit", "moved / least", "rounds", "note"), map(_row, rows)
    )


def _row(row: Mapping[str, Any]) -> list[str]:
    limit = "–" if row["limit"] is None else f"{row['limit'] * 100:.0f} %"
    traffic = "–" if row["traffic"] is None else f"{row['traffic']:.1f}"
    return [*_place(row), _time(row["seconds"]), _ratio(row), limit, traffic, str(row["rounds"]), row["reason"]]


def _place(row: Mapping[str, Any]) -> list[str]:
    numbers = (f"{row['batch']:,}", f"{row['width']:,}")
    return [row["loss"], *numbers, row["dtype"], row["passes"], row["impl"], row["mode"]]


def _ratio(row: Mapping[str, Any]) -> str:
    if row["ratio"] is None:
        return "–"
    return f"{row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"


def sizes(found: data.Sizes) -> Lines:
    """Per form the range of its ratios over losses and sizes, and all of them."""
    rows = [row for row in found.times.records() if row["ratio"] is not None]
    table = []
    for impl, mode in dict.fromkeys((row["impl"], row["mode"]) for row in rows):
        mine = [row for row in rows if (row["impl"], row["mode"]) == (impl, mode)]
        least, most = (pick(row["ratio"] for row in mine) for pick in (min, max))
        lowest = min(row["ratio_low"] for row in mine)
        table.append((impl, mode, len(mine), f"{least:.2f}", f"{most:.2f}", f"{lowest:.2f}"))
    head = ("implementation", "mode", "losses and sizes", "least ratio", "largest ratio", "lowest end of an interval")
    yield from plain_text.table(head, table)
    yield "Every row:"
    yield ""
    yield from plain_text.table(
        (*HEAD, "time", "times as fast"), ([*_place(row), _time(row["seconds"]), _ratio(row)] for row in rows)
    )


def memory(found: data.Speed) -> Lines:
    """Peak over gradients, and page faults, of losses whose call has gradients."""
    rows = [row for row in found.times.records() if row["seconds"] is not None and row["results"]]
    yield from plain_text.table(
        (*HEAD, "peak / gradients", "page faults"),
        (
            [*_place(row), "–" if row["peak"] is None else f"{row['peak'] / row['results']:.2f}", _count(row["faults"])]
            for row in rows
        ),
    )


def _count(number: float | None) -> str:
    return "–" if number is None else f"{number:,.0f}"


def peers(found: data.Peers) -> Lines:
    """Verdicts of the peers' cells, and their times over the best of lossmark's."""
    yield from plain_text.table(("library", "cells", "pass", "fail", "not judged"), found.verdicts.rows)
    rows = found.times.records()
    table = []
    for row in rows:
        best = [each["seconds"] for each in rows if _own(each) and _comparable(each, row)]
        if not _own(row):
            longer = f"{row['seconds'] / min(best):.1f}" if row["seconds"] is not None and best else "–"
            table.append([*_place(row), _time(row["seconds"]), longer, row["reason"]])
    yield from plain_text.table((*HEAD, "time", "times as long", "note"), table)


def _comparable(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both do the same in the same framework, and the one has a time."""
    same = all(one[name] == other[name] for name in (*PLACE, "passes", "framework"))
    return same and one["seconds"] is not None


def _own(row: Mapping[str, Any]) -> bool:
    return row["impl"].removesuffix("-fused") == row["framework"]
