"""Builds the report: results in, one self-contained page out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from lossmark import __version__
from lossmark.dtypes import DTYPES
from lossmark.readings import page
from lossmark.registry import losses
from lossmark.results import VERDICTS, Cell, Results, read
from lossmark.spec.loss import Loss
from lossmark.spec.numbers import parse

MARKS = {"pass": "✓", "deviates": "≈", "fail": "✗", "error": "!", "unsupported": "–", "not-run": "○"}
SHOWN_FAILURES = 200
SCOREBOARD = Path(__file__).parent / "results" / "sharpness.json"


def build(sources: Sequence[Path], output: Path, timings: Any = None) -> Path:
    """Write ``index.html`` into ``output`` and return its path; raises ``ResultsError`` for unreadable results."""
    runs = [read(path) for path in sources]
    cells = [cell for run in runs for cell in run.cells]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template("index.html").render(
        version=__version__,
        banner=_banner(runs, cells),
        counts={verdict: sum(cell.verdict == verdict for cell in cells) for verdict in VERDICTS},
        runs=runs,
        matrix=_matrix(cells),
        dtypes=list(DTYPES),
        losses=[_loss(loss, cells) for loss in losses().values() if any(cell.loss == loss.id for cell in cells)],
        marks=MARKS,
        timings=timings,
        sharpness=_sharpness(),
    )
    output.mkdir(parents=True, exist_ok=True)
    path = output / "index.html"
    path.write_text(text, encoding="utf-8")
    return path


def _sharpness() -> Any:
    """The scoreboard of mutants as it was last kept (``lossmark mutants --results``); None if it was not."""
    return json.loads(SCOREBOARD.read_text(encoding="utf-8")) if SCOREBOARD.is_file() else None


def _banner(runs: Sequence[Results], cells: Sequence[Cell]) -> dict[str, str]:
    """The verdict of the whole: only a complete run without failures is green."""
    counts = Counter(cell.verdict for cell in cells)
    dead = [run.source for run in runs if run.footer is None]
    partial = [run.source for run in runs if not run.complete]
    if dead:
        return {"kind": "bad", "text": f"incomplete: the run died before its end ({', '.join(dead)})"}
    if counts["fail"] or counts["error"]:
        return {"kind": "bad", "text": f"{counts['fail'] + counts['error']} cells do not conform"}
    if partial or not cells:
        return {"kind": "bad", "text": "incomplete: cells are missing from the results"}
    if not counts["pass"]:
        return {"kind": "bad", "text": "nothing was judged"}
    return {"kind": "good", "text": "every judged cell conforms"}


def _matrix(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Loss × implementation rows with a box per dtype, each with its verdict counts and its cells that do not pass."""
    rows = []
    for loss, impl in dict.fromkeys((cell.loss, cell.impl) for cell in cells):
        mine = [cell for cell in cells if (cell.loss, cell.impl) == (loss, impl)]
        boxes = {dtype: _box([cell for cell in mine if cell.dtype == dtype]) for dtype in DTYPES}
        wrong = [cell for cell in mine if cell.verdict in ("fail", "error", "deviates")]
        rows.append(
            {
                "loss": loss,
                "impl": impl,
                "boxes": boxes,
                "wrong": wrong[:SHOWN_FAILURES],
                "hidden": len(wrong[SHOWN_FAILURES:]),
            }
        )
    return rows


def _box(cells: Sequence[Cell]) -> dict[str, Any] | None:
    if not cells:
        return None
    counts = Counter(cell.verdict for cell in cells)
    worst = next(
        verdict for verdict in ("fail", "error", "deviates", "pass", "not-run", "unsupported") if counts[verdict]
    )
    reasons = Counter(cell.detail for cell in cells if cell.verdict in ("not-run", "unsupported"))
    spread = _spread([cell for cell in cells if cell.check in ("value", "gradient") and cell.error_ulp is not None])
    return {"verdict": worst, "counts": dict(counts), "spread": spread, "reasons": reasons.most_common(3)}


def _loss(loss: Loss, cells: Sequence[Cell]) -> dict[str, Any]:
    formula = loss.gradients({}).formula
    mine = [cell for cell in cells if cell.loss == loss.id]
    return {
        "model": loss.model,
        "mathml": page.mathml(formula.loss),
        "latex": page.latex(formula.loss),
        "example": _example(loss),
        "accuracy": _accuracy(mine),
    }


def _example(loss: Loss) -> dict[str, Any]:
    """The worked example: its inputs and certified value in decimal."""
    case = next((case for case in loss.cases if case.id.endswith("/worked")), loss.cases[0])
    value = case.golden.expect.value if case.golden else None
    shown = [f"{parse(x)!r} ({x})" for x in value or [] if isinstance(x, str)]
    inputs = {name: array.tolist() for name, array in case.inputs.items()}
    return {"id": case.id, "why": case.why, "inputs": inputs, "value": ", ".join(shown)}


def _accuracy(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Per implementation and mode, the largest and median distance from the true value in ulp, by dtype and check."""
    rows = []
    for impl, mode in dict.fromkeys((cell.impl, cell.mode) for cell in cells):
        for check in ("value", "gradient"):
            mine = [c for c in cells if (c.impl, c.mode, c.check) == (impl, mode, check) and c.error_ulp is not None]
            if mine:
                boxes = {dtype: _spread([c for c in mine if c.dtype == dtype]) for dtype in DTYPES}
                rows.append({"impl": impl, "mode": mode, "check": check, "boxes": boxes})
    return rows


def _spread(cells: Sequence[Cell]) -> dict[str, float] | None:
    errors = sorted(cell.error_ulp for cell in cells if cell.error_ulp is not None)
    used = [cell.budget_used for cell in cells if cell.budget_used is not None]
    if not errors:
        return None
    return {"median": errors[len(errors) // 2], "largest": errors[-1], "budget": max(used, default=0.0)}
