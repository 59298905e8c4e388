"""The edge table of the design, as data: what each edge is, which losses it concerns, and what covers it.

``specs/README.md`` is generated from it; an edge that concerns a loss and has neither a case nor a check is an empty
box, and fails ``lossmark certify --check``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..formula.tree import topological
from ..specification.loss import Loss
from .verify import Flaw


def _has(*ops: str) -> Callable[[Loss], bool]:
    return lambda loss: any(node.op in ops for node in topological([loss.gradients({}).formula.loss]))


def _always(loss: Loss) -> bool:
    return True


def _labeled(loss: Loss) -> bool:
    return any(item.label for item in loss.inputs)


def _several(loss: Loss) -> bool:
    return len(loss.gradient_of) > 1


@dataclass(frozen=True)
class Edge:
    """A situation: the flags of the cases that cover it, or the check of every case that does."""

    title: str
    flags: tuple[str, ...] = ()
    check: str = ""
    concerns: Callable[[Loss], bool] = _always


EDGES = (
    Edge("kink of max(0, z) at z = 0", ("Kink",), concerns=_has("max", "relu")),
    Edge("equal scores of a smooth loss", ("Tie",), concerns=_has("softplus")),
    Edge(
        "d = ‖x1 - x2‖ = 0",
        ("ZeroDistance",),
        concerns=lambda loss: _has("norm", "sqnorm")(loss) or loss.id == "contrastive",
    ),
    Edge("large scores", ("LargeScore",), concerns=_has("dot")),
    Edge("±inf in scores", ("InfiniteScore",), concerns=_has("dot")),
    Edge("infinite distances or embeddings", ("Infinite",)),
    Edge("overflow of an intermediate", ("Overflow",)),
    Edge("NaN in an input", ("NaNInput",)),
    Edge("zero vector under cosine", ("ZeroVector",), concerns=_has("dot")),
    Edge("norms near the guard of cosine", ("TinyNorm",), concerns=_has("dot")),
    Edge("subnormals", ("Subnormal",)),
    Edge("signed zero", ("SignedZero",)),
    Edge("soft labels", ("SoftLabel",), concerns=lambda loss: any(item.label == "soft" for item in loss.inputs)),
    Edge("margins other than the default", ("Margin",), concerns=lambda loss: "margin" in loss.model.params),
    Edge("empty batch", check="empty"),
    Edge("label shape (B,1)", ("LabelShape",), concerns=_labeled),
    Edge("other batch or dim mismatch", ("Mismatch",)),
    Edge("label dtype", check="labels", concerns=_labeled),
    Edge("label values", ("LabelValue",), concerns=_labeled),
    Edge("bad parameters", ("BadParameter",)),
    Edge("mixed or integer embeddings, unknown reduction", check="arguments"),
    Edge("16-bit sums accumulate in float32", check="value of the families with D = 1024 or B = 1000"),
    Edge("inputs never modified", check="unmodified"),
    Edge("strided, reversed, read-only, unaligned memory", check="layout"),
    Edge("any cotangent", check="gradient (random weights under none), cotangent (a multiple of mean and sum)"),
    Edge("second derivatives off the kinks", check="curvature"),
    Edge("gradients for some inputs only", check="partial", concerns=_several),
    Edge("one tensor passed as two arguments", check="aliased", concerns=_several),
    Edge("the same call again", check="deterministic"),
    Edge("the batch in another order", check="permuted"),
    Edge("no global state left changed", check="state"),
    Edge("random batches and the laws of the loss", check="properties"),
    Edge("defaults", check="defaults"),
)

HEADER = """# Specs

One YAML file per loss: its formula, its golden cases with certified values, its seeded families. The files follow
[`schema.json`](schema.json); editors that know JSON Schema complete and check them. Expected values are written by
`lossmark certify` and verified by `lossmark certify --check`. The same command generates this page and the schema.
"""


def covering(edge: Edge, loss: Loss) -> list[str]:
    """The ids of the cases of a loss that cover an edge."""
    return [case.id.partition("/")[2] for case in loss.cases if set(edge.flags) & set(case.flags)]


def empty_boxes(losses: Sequence[Loss]) -> Iterator[Flaw]:
    """Edges that concern a loss and that no case of it covers."""
    for loss in losses:
        for edge in EDGES:
            if edge.flags and edge.concerns(loss) and not covering(edge, loss):
                yield Flaw(loss.id, f"no case covers the edge {edge.title!r} (flag {' or '.join(edge.flags)})")


def page(losses: Sequence[Loss]) -> str:
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
    for edge in EDGES:
        boxes = [_box(edge, loss) for loss in losses]
        lines.append(f"| {edge.title} | " + " | ".join(boxes) + " |")
    return "\n".join(lines) + "\n"


def _box(edge: Edge, loss: Loss) -> str:
    if not edge.concerns(loss):
        return "–"
    return f"check: {edge.check}" if edge.check else ", ".join(covering(edge, loss))
