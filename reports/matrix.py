"""The matrix of the overview: a panel per dtype, a row per loss, a column per framework with its forms inside."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from lossmark.adapters.registry import own_implementations
from lossmark.dtypes import DTYPES
from lossmark.results.cell import Cell
from lossmark.specification.library import losses

from .cells import MARKS, WORST_FIRST, anchor, grouped, impl_page
from .inputs import key

STEPS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Upper ends of the shares of the bound that have a colour of their own."""
NOT_JUDGED = ("not-run", "unsupported")


def panels(cells: Sequence[Cell], told: Collection[str]) -> list[dict[str, Any]]:
    """A panel for each dtype with cells: its groups of columns by framework, its columns, and its rows of tiles.

    ``told`` are the anchors of the cells that the page shows in full. A column is an implementation in one of its
    modes. Only what has cells is there: a tile is None where nothing was planned, and a dtype has no columns but its
    own.
    """
    found = grouped(cells, lambda cell: cell.dtype)
    return [_panel(dtype, found[dtype], told) for dtype in DTYPES if dtype in found]


def _panel(dtype: str, cells: Sequence[Cell], told: Collection[str]) -> dict[str, Any]:
    columns = sorted({(cell.framework, cell.impl, cell.mode) for cell in cells}, key=_rank)
    frameworks = Counter(framework for framework, _, _ in columns)
    tiles = grouped(cells, lambda cell: (cell.loss, cell.framework, cell.impl, cell.mode))
    known = list(losses())
    rows = sorted({cell.loss for cell in cells}, key=lambda loss: (_place(known, loss), loss))
    return {
        "dtype": dtype,
        "groups": list(frameworks.items()),
        "columns": [
            {"impl": impl, "mode": mode, "label": _label(framework, impl, mode), "first": index in _starts(frameworks)}
            for index, (framework, impl, mode) in enumerate(columns)
        ],
        "rows": [
            {"loss": loss, "tiles": [_tile(tiles.get((loss, *column), []), told) for column in columns]}
            for loss in rows
        ],
    }  # fmt: skip


def _rank(column: tuple[str, str, str]) -> tuple[int, str, int, str, int, str]:
    """Frameworks and modes as lossmark lists them; in a framework the plain form, the fused one, guests by name."""
    framework, impl, mode = column
    known = {adapter.name: [each.name for each in adapter.modes] for adapter in own_implementations().values()}
    form = _place([framework, f"{framework}-fused"], impl)
    return _place(list(known), framework), framework, form, impl, _place(known.get(framework, []), mode), mode


def _place(known: Sequence[str], name: str) -> int:
    """The place of a name among those that are known; after all of them where it is not."""
    return known.index(name) if name in known else len(known)


def _starts(frameworks: Mapping[str, int]) -> set[int]:
    """The places of the columns with which a framework begins."""
    counts = list(frameworks.values())
    return {sum(counts[:place]) for place in range(len(counts))}


def _label(framework: str, impl: str, mode: str) -> str:
    """A column's name beside that of its framework: ``eager``, ``compile``, ``fused``, ``fused jit``, ``mylib``."""
    if impl == framework:
        return mode
    name = "fused" if impl == f"{framework}-fused" else impl
    return name if mode == "eager" else f"{name} {mode}"


def _tile(cells: Sequence[Cell], told: Collection[str]) -> dict[str, Any] | None:
    """What a tile shows of its cells: the worst verdict, the step of the share, and all of it in words."""
    if not cells:
        return None
    counts = Counter(cell.verdict for cell in cells)
    worst = next(verdict for verdict in WORST_FIRST if counts[verdict])
    share = _share(cells)
    return {
        "verdict": worst,
        "mark": "" if worst == "pass" else MARKS[worst],
        "step": _step(share) if worst in ("pass", "deviates") else None,
        "partly": worst not in NOT_JUDGED and any(counts[verdict] for verdict in NOT_JUDGED),
        "label": _words(cells[0], counts, share),
        "link": _link(cells, worst, told),
    }


def _share(cells: Sequence[Cell]) -> float | None:
    """The largest share of the bound that values and gradients use; None where none was judged."""
    used = [cell.budget_used for cell in cells if cell.check in ("value", "gradient") and cell.budget_used is not None]
    return max(used, default=None)


def _step(share: float | None) -> int | None:
    """The number of the share's colour, from 1; what lies beyond its bound has the last one."""
    if share is None or math.isnan(share):
        return None
    return next((number for number, end in enumerate(STEPS, 1) if share <= end), len(STEPS))


def _words(one: Cell, counts: Mapping[str, int], share: float | None) -> str:
    """The tile in a line, as ``bpr, torch, eager, float32: 137 pass, 2 not-run; up to 97 % of the bound``."""
    found = ", ".join(f"{counts[verdict]} {verdict}" for verdict in WORST_FIRST if counts[verdict])
    used = (
        "" if share is None else "; beyond the bound" if not share <= 1 else f"; up to {100 * share:.0f} % of the bound"
    )
    return f"{one.loss}, {one.impl}, {one.mode}, {one.dtype}: {found}{used}"


def _link(cells: Sequence[Cell], worst: str, told: Collection[str]) -> str:
    """Where the details are: the first cell told that does not conform, else the box on the implementation's page."""
    if worst in ("fail", "error"):
        wrong = (anchor(key(cell)) for cell in cells if cell.verdict == worst)
        first = next((name for name in wrong if name in told), None)
        if first:
            return f"#{first}"
    one = cells[0]
    return f"{impl_page(one.impl)}#{box_id(one.loss, one.mode, one.dtype)}"


def box_id(loss: str, mode: str, dtype: str) -> str:
    """The id of a box on the page of an implementation."""
    return anchor("|".join((loss, mode, dtype)))


def cells_link(impl: str, loss: str, mode: str, dtype: str) -> str:
    """The link to the cells of a box in the table of all cells."""
    return f"index.html#{urlencode({'impl': impl, 'loss': loss, 'mode': mode, 'dtype': dtype})}"
