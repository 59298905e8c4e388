"""Builds the report: results in, a site out that opens from the disk and asks nothing of the network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from lossmark import __version__
from lossmark.dtypes import DTYPES
from lossmark.results import history
from lossmark.results.cell import VERDICTS, Cell
from lossmark.results.difference import compared
from lossmark.results.record import Results, read
from lossmark.sharpness.likeness import SCOREBOARD
from lossmark.specification.library import losses

from . import cells as shown
from . import crosswalk_page, failing, inputs, loss_pages, matrix, speed_page, takeaway

HERE = Path(__file__).parent
LEFT_OUT = 1000
"""Rows of cells that were not judged; the rest is in the table of all cells and in the files."""


def build(sources: Sequence[Path], output: Path, *, since: Path | None = None, kept: Path | None = None) -> Path:
    """Write the site into ``output`` and return its first page; raises ``ResultsError`` for unreadable results.

    ``since`` is an earlier run that this one is compared with, ``kept`` a folder of history.
    """
    found = inputs.gathered(sources)
    output.mkdir(parents=True, exist_ok=True)
    site = _Site(found, _changes(found, since))
    series = history.series(history.runs(kept)) if kept else []
    site.speed = speed_page.content(found.benchmarks, series)
    for name, text in site.pages():
        (output / name).write_text(text, encoding="utf-8")
    takeaway.write(found.cells, found.counts, site.banner, output)
    return output / "index.html"


def _changes(found: inputs.Inputs, since: Path | None) -> list[Any] | None:
    """What this run has lost against an earlier one; None without an earlier one."""
    if since is None:
        return None
    now = Results({"planned": len(found.cells)}, tuple(found.cells), {})
    return list(compared(read(since), now, {}))


class _Site:
    """The pages of one report, from its inputs and the changes since an earlier run."""

    def __init__(self, found: inputs.Inputs, changes: list[Any] | None):
        self.found, self.changes = found, changes
        self.cells = [_cleaned(cell) for cell in found.cells]
        self.banner = inputs.banner(found)
        self.speed: dict[str, Any] | None = None
        self.sources = self._sources()
        self._told: dict[Cell, dict[str, Any]] = {}
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters["key"] = inputs.key

    def pages(self) -> Iterator[tuple[str, str]]:
        """The name and text of each page."""
        by_loss = shown.grouped(self.cells, lambda cell: cell.loss)
        by_impl = shown.grouped(self.cells, lambda cell: cell.impl)
        known = [loss for loss in losses().values() if loss.id in by_loss]
        common = {
            "version": __version__,
            "banner": self.banner,
            "dtypes": list(DTYPES),
            "marks": shown.MARKS,
            "style": _joined("style.css", "matrix.css"),
            "script": _joined("matrix.js", "script.js"),
            "loss_pages": {loss.id: loss_pages.page_of(loss.id) for loss in known},
            "impl_pages": [(impl, shown.impl_page(impl)) for impl in by_impl],
            "has_speed": self.speed is not None,
            "crosswalk_page": crosswalk_page.PAGE,
        }
        yield "index.html", self._page("index.html", common, **self._overview())
        for loss in known:
            yield (
                loss_pages.page_of(loss.id),
                self._page("loss.html", common, loss=loss_pages.content(loss, by_loss[loss.id])),
            )
        league = shown.league(self.cells)
        for impl, mine in by_impl.items():
            yield shown.impl_page(impl), self._page("impl.html", common, **self._impl(impl, mine), league=league)
        if self.speed is not None:
            yield "speed.html", self._page("speed.html", common, speed=self.speed)
        script = _joined("crosswalk.js")
        rows = crosswalk_page.content()
        yield crosswalk_page.PAGE, self._page("crosswalk.html", common, crosswalk=rows, crosswalk_script=script)

    def _page(self, template: str, common: Mapping[str, Any], **content: Any) -> str:
        return self._templates.get_template(template).render(**common, **content)

    def _overview(self) -> dict[str, Any]:
        """What the first page shows."""
        left_out = [cell for cell in self.cells if cell.verdict in ("not-run", "unsupported", "deviates")]
        told = self._failing(self.cells)
        return {
            "counts": self.found.counts,
            "runs": self.found.runs,
            "gates": self.found.gates,
            "panels": matrix.panels(self.cells, {item["anchor"] for item in told}),
            "steps": matrix.STEPS,
            "speed": self.speed,
            "failing": told,
            "failures": sum(cell.verdict in ("fail", "error") for cell in self.cells),
            "left_out": left_out[:LEFT_OUT],
            "hidden": len(left_out[LEFT_OUT:]),
            "changes": self.changes,
            "differences": self.found.differences[:LEFT_OUT],
            "all_differences": len(self.found.differences),
            "sharpness": json.loads(SCOREBOARD.read_text(encoding="utf-8")) if SCOREBOARD.is_file() else None,
            "packed": shown.packed(self.cells),
            "verdicts": VERDICTS,
            "tried_twice": shown.tried_twice(self.cells),
        }

    def _impl(self, impl: str, mine: Sequence[Cell]) -> dict[str, Any]:
        """What the page of an implementation shows, from its cells."""
        forms = shown.grouped(mine, lambda cell: (cell.loss, cell.mode))
        return {
            "impl": impl,
            "framework": mine[0].framework,
            "losses": [(loss, mode, shown.boxes(cells)) for (loss, mode), cells in forms.items()],
            "box_id": matrix.box_id,
            "cells_link": matrix.cells_link,
            "failing": self._failing(mine),
            "left_out": [cell for cell in mine if cell.verdict in ("not-run", "unsupported", "deviates")][:LEFT_OUT],
        }

    def _failing(self, cells: Sequence[Cell]) -> list[dict[str, Any]]:
        """Failing cells in full, each made once: the overview and the page of its implementation show the same."""
        wrong = [cell for cell in cells if cell.verdict in ("fail", "error")][: failing.SHOWN]
        for cell in wrong:
            if cell not in self._told:
                self._told[cell] = failing.told(cell, self.sources)
        return [self._told[cell] for cell in wrong]

    def _sources(self) -> dict[str, str]:
        """Where each implementation was loaded from, by name, from the headers of the runs."""
        found: dict[str, str] = {}
        for run in self.found.runs:
            named = run.header.get("environment", {})
            found |= named.get("implementations", {}) if isinstance(named, Mapping) else {}
        return found


def _joined(*names: str) -> Markup:
    """Files of the templates one after the other, as they are."""
    return Markup("".join((HERE / "templates" / name).read_text(encoding="utf-8") for name in names))


def _cleaned(cell: Cell) -> Cell:
    """The cell without characters that no page can hold: NUL, lone surrogates."""
    texts = {
        name: value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
        for name, value in vars(cell).items()
        if isinstance(value, str)
    }
    return Cell(**{**vars(cell), **texts})
