"""The scoreboard: results of other repositories at one version of the specs, as a page and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from lossmark import __version__
from lossmark.results.cell import VERDICTS
from lossmark.results.collected import Collected, Standing, Tally, TallyKey, versions

from . import cells as shown

HERE = Path(__file__).parent


def write(found: Collected, output: Path) -> Path:
    """Write ``index.html`` and ``scoreboard.json`` into ``output``; returns the page."""
    output.mkdir(parents=True, exist_ok=True)
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    templates.filters["key"] = str
    losses = sorted({setting.loss for standing in found.standings for setting in standing.tallies})
    by_name = versions(found.standings)
    text = templates.get_template("scoreboard.html").render(
        version=__version__, specs=found.specs, losses=losses, marks=shown.MARKS,
        latest=[row for mine in by_name.values() for row in _latest(mine[-1], losses)],
        trends=[row for mine in by_name.values() for row in _trend(mine)],
        shown=len(found.standings), withheld=found.withheld,
        loss_pages={}, has_speed=False, crosswalk_page="", script=Markup(),
        style=Markup((HERE / "templates" / "style.css").read_text(encoding="utf-8")),
    )  # fmt: skip
    (output / "index.html").write_text(text, encoding="utf-8")
    (output / "scoreboard.json").write_text(json.dumps(_record(found), indent=1) + "\n", encoding="utf-8")
    return output / "index.html"


def _latest(standing: Standing, losses: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row for each form of a report: an implementation on a device in a mode, with a box for each loss."""
    forms: dict[tuple[str, str, str, str], dict[str, list[Tally]]] = {}
    for setting, tally in standing.tallies.items():
        form = (setting.impl, setting.framework, setting.device, setting.mode)
        forms.setdefault(form, {}).setdefault(setting.loss, []).append(tally)
    for (impl, framework, device, mode), tallies in forms.items():
        boxes = [_box(tallies[loss]) if loss in tallies else None for loss in losses]
        yield {
            "name": standing.name, "version": standing.version, "impl": impl, "framework": framework,
            "device": device, "mode": mode, "boxes": boxes,
        }  # fmt: skip


def _box(tallies: Sequence[Tally]) -> dict[str, Any]:
    """All dtypes of a form of a loss: its worst verdict, how many cells conform, and the largest share of a bound."""
    counts: Counter[str] = Counter()
    for tally in tallies:
        counts += tally.counts
    worst = next(verdict for verdict in shown.WORST_FIRST if counts[verdict])
    return {
        "verdict": worst, "mark": shown.MARKS[worst], "conforming": sum(tally.conforming for tally in tallies),
        "judged": sum(tally.judged for tally in tallies), "budget": max(tally.budget_used for tally in tallies),
    }  # fmt: skip


def _trend(mine: Sequence[Standing]) -> Iterator[dict[str, Any]]:
    """A row for each version of a name, with what it has gained and lost against the one before."""
    before: Mapping[TallyKey, Tally] = {}
    for standing in mine:
        tallies = standing.tallies
        judged = sum(tally.judged for tally in tallies.values())
        conforming = sum(tally.conforming for tally in tallies.values())
        both = [(before[setting], tally) for setting, tally in tallies.items() if setting in before]
        wrong = [(old.judged - old.conforming, new.judged - new.conforming) for old, new in both]
        yield {
            "name": standing.name, "version": standing.version, "date": standing.date[:10],
            "frameworks": ", ".join(f"{k} {v}" for k, v in standing.frameworks.items() if v != "not installed"),
            "judged": judged, "conforming": conforming, "share": conforming / judged if judged else None,
            "budget": max(tally.budget_used for tally in tallies.values()),
            "worse": sum(max(new - old, 0) for old, new in wrong),
            "better": sum(max(old - new, 0) for old, new in wrong), "first": not before,
        }  # fmt: skip
        before = tallies


def _record(found: Collected) -> dict[str, Any]:
    """All of it as JSON."""
    reports = [
        {
            "name": one.name, "version": one.version, "lossmark": one.lossmark, "date": one.date,
            "frameworks": one.frameworks,
            "rows": [
                vars(setting) | {verdict: tally.counts[verdict] for verdict in VERDICTS}
                | {"budget_used": tally.budget_used, "error_ulp": tally.error_ulp}
                for setting, tally in one.tallies.items()
            ],
        }
        for one in found.standings
    ]  # fmt: skip
    return {
        "scoreboard": 1,
        "specs": found.specs,
        "reports": reports,
        "withheld": [vars(one) for one in found.withheld],
    }
