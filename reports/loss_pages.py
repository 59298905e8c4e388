"""What the page of a loss tells: formula, worked example, curves, edges, accuracy, golden cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flint import arb

from lossmark.golden.certified import known
from lossmark.readings import page
from lossmark.readings.convention import IEEE
from lossmark.results.cell import Cell
from lossmark.specification.case import Case
from lossmark.specification.edges import edges
from lossmark.specification.hexfloat import parse
from lossmark.specification.loss import Loss

from . import charts
from .cells import MARKS, WORST_FIRST, boxes, grouped

KINK = "slope chosen at the kink: "
"""How a detail begins that names the slope which an implementation has chosen."""
GRADE = "grade: "
"""How a detail begins that holds the grade, in results without the key ``grade``."""


def content(loss: Loss, cells: Sequence[Cell]) -> dict[str, Any]:
    """Everything that the template of a loss's page needs; ``cells`` are those of the loss."""
    formula = loss.gradients({}).formula
    return {
        "id": loss.id,
        "page": page_of(loss.id),
        "model": loss.model,
        "mathml": page.mathml(formula.loss),
        "latex": page.latex(formula.loss),
        "example": _example(loss),
        "curves": charts.curves(loss),
        "kinks": _kinks(cells),
        "edges": list(_edges(loss, cells)),
        "impls": list(dict.fromkeys(cell.impl for cell in cells)),
        "accuracy": _accuracy(cells),
        "ecdf": charts.accuracy(cells),
        "cases": [_case(case, cells) for case in loss.cases],
    }


def page_of(loss_id: str) -> str:
    """The file of a loss's page."""
    return f"loss-{loss_id}.html"


def _example(loss: Loss) -> dict[str, Any]:
    """The worked example: its inputs, its terms step by step, its certified value."""
    case = next((case for case in loss.cases if case.id.endswith("/worked")), loss.cases[0])
    value = case.golden.expect.value if case.golden else None
    shown = [f"{parse(x)!r} ({x})" for x in value or [] if isinstance(x, str)]
    inputs = {name: array.tolist() for name, array in case.inputs.items()}
    return {"id": case.id, "why": case.why, "inputs": inputs, "terms": _terms(loss, case), "value": ", ".join(shown)}


def _terms(loss: Loss, case: Case) -> list[tuple[str, str, str]]:
    """Each named term of the formula with its exact value in the first example, to 15 digits."""
    written = loss.model.formula
    formula = loss.gradients(case.params).formula
    values = known(loss, case, IEEE)
    named = [*formula.named, ("loss", formula.loss)]
    texts = {**written.where, "loss": written.loss}
    return [(name, texts.get(name, ""), _digits(values[node].flat[0])) for name, node in named if node in values]


def _digits(value: Any) -> str:
    return value.str(15, radius=False) if isinstance(value, arb) else str(value)


def _kinks(cells: Sequence[Cell]) -> list[tuple[str, str]]:
    """For each implementation, the members of the subdifferential that it chooses."""
    found: dict[str, Counter[str]] = {}
    for cell in cells:
        if cell.check == "gradient" and cell.detail.startswith(KINK):
            found.setdefault(cell.impl, Counter())[cell.detail.removeprefix(KINK)] += 1
    return [(impl, ", ".join(counts)) for impl, counts in found.items()]


def _edges(loss: Loss, cells: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """Each edge that concerns the loss, with the verdict of every implementation there."""
    flags = {case.id: set(case.flags) for case in loss.cases}
    for edge in edges():
        if not edge.concerns(loss):
            continue
        mine = [
            cell
            for cell in cells
            if (edge.check and cell.check == edge.check) or flags.get(cell.case, set()) & set(edge.flags)
        ]
        if mine:
            yield {"title": edge.title, "impls": {impl: _met(met) for impl, met in grouped(mine, _impl).items()}}


def _impl(cell: Cell) -> str:
    return cell.impl


def grade_of(cell: Cell) -> str:
    """The grade of a cell; results that have no such key tell it in the detail. Empty if there is none."""
    return cell.grade or (cell.detail.removeprefix(GRADE) if cell.detail.startswith(GRADE) else "")


def _met(cells: Sequence[Cell]) -> dict[str, str]:
    """What an implementation does at an edge: its worst verdict with their number, and its commonest grades."""
    verdicts = Counter(cell.verdict for cell in cells)
    worst = next(verdict for verdict in WORST_FIRST if verdicts[verdict])
    grades = Counter(grade for grade in map(grade_of, cells) if grade)
    grade = "; ".join(text for text, _ in grades.most_common(2))
    return {"verdict": worst, "mark": MARKS[worst], "text": f"{verdicts[worst]}", "grade": grade}


def _accuracy(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Per implementation, mode and check, the median and largest distance from the true value in ulp, by dtype."""
    kept = [cell for cell in cells if cell.check in ("value", "gradient")]
    groups: Mapping[Any, list[Cell]] = grouped(kept, lambda cell: (cell.impl, cell.mode, cell.check))
    return [
        {"impl": impl, "mode": mode, "check": check, "boxes": boxes(mine)}
        for (impl, mode, check), mine in groups.items()
    ]


def _case(case: Case, cells: Sequence[Cell]) -> dict[str, Any]:
    counts = Counter(cell.verdict for cell in cells if cell.case == case.id)
    return {"id": case.id, "flags": ", ".join(case.flags), "why": case.why, "shape": list(case.shape), "counts": counts}
