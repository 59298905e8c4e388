"""Which golden cases cover which edge: the empty boxes of that table, and the page ``specs/README.md`` that shows it.

An edge that concerns a loss and has neither a case nor a check is an empty box, and fails ``lossmark certify --check``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..specification.edges import Edge
from ..specification.loss import Loss
from .flaw import Flaw

HEADER = """# Specs

One YAML file per loss: its formula, its golden cases with certified values, its seeded families. The files follow
[`schema.json`](schema.json); editors that know JSON Schema complete and check them. Expected values are written by
`lossmark certify` and verified by `lossmark certify --check`. The same command generates this page and the schema.
[`edges.yaml`](edges.yaml) lists the situations in which implementations go wrong, and which losses they concern.
"""


def covering(edge: Edge, loss: Loss) -> list[str]:
    """The ids of the cases of a loss that cover an edge."""
    return [case.id.partition("/")[2] for case in loss.cases if set(edge.flags) & set(case.flags)]


def empty_boxes(losses: Sequence[Loss], edges: Sequence[Edge]) -> Iterator[Flaw]:
    """Edges that concern a loss and that no case of it covers."""
    for loss in losses:
        for edge in edges:
            if edge.flags and edge.concerns(loss) and not covering(edge, loss):
                yield Flaw(loss.id, f"no case covers the edge {edge.title!r} (flag {' or '.join(edge.flags)})")


def page(losses: Sequence[Loss], edges: Sequence[Edge]) -> str:
    """The text of ``specs/README.md``."""
    lines = [
        HEADER,
        "| loss | formula | cases | exact-dyadic | generic | adversarial | families |",
        "|---|---|---|---|---|---|---|",
    ]
    for loss in losses:
        classes = [case.case_class for case in loss.cases]
        counts = [str(classes.count(name)) for name in ("exact-dyadic", "generic", "adversarial")]
        families = sum(not family.model.full for family in loss.families)
        formula = loss.model.formula.loss.replace("|", "\\|")
        lines.append(
            f"| [{loss.id}]({loss.id}.yaml) | `{formula}` | {len(classes)} | {' | '.join(counts)} | {families} |"
        )
    lines += ["", "## Edges and the cases that cover them", ""]
    lines += ["| edge | " + " | ".join(loss.id for loss in losses) + " |", "|---" * (len(losses) + 1) + "|"]
    for edge in edges:
        boxes = [_box(edge, loss) for loss in losses]
        lines.append(f"| {edge.title} | " + " | ".join(boxes) + " |")
    return "\n".join(lines) + "\n"


def _box(edge: Edge, loss: Loss) -> str:
    if not edge.concerns(loss):
        return "–"
    return f"check: {edge.check}" if edge.check else ", ".join(covering(edge, loss))
