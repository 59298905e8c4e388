"""The edges that losses are held to, read from ``specs/edges.yaml``: what each is, and which losses it concerns."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from ..formula.defined import DEFINED
from ..formula.operations import OPERATIONS
from ..formula.tree import topological
from ..rooms import room
from .case import Param
from .document import Document, dump, editable, read
from .loss import Loss
from .model import Concerns, EdgesModel
from .validate import validate

EDGES_FILE = "edges.yaml"
"""In a folder of specs, the one YAML file that is no loss."""


@dataclass(frozen=True)
class Edge:
    """A situation. ``flags`` names the flags of the cases that cover it, or ``check`` the check that does."""

    id: str
    title: str
    flags: tuple[str, ...]
    check: str
    whom: Concerns | None

    def concerns(self, loss: Loss) -> bool:
        """Whether the situation can occur in a loss, by its formula with the default parameters and by its inputs.

        Of a function that a parameter chooses the first body counts: the edges of the others are those of their choice.
        """
        if self.whom is None:
            return True
        given: dict[str, Param] = {}
        for definition in DEFINED.values():
            offered = choices_of(loss, definition.parameter)
            first = next((body for body in definition.bodies if body in offered), None)
            given |= {} if first is None else {definition.parameter: first}
        operations = {node.op for node in topological([loss.gradients(given).formula.loss])}
        choices = {(name, text) for name in loss.model.params for text in choices_of(loss, name)}
        return (
            bool(operations & set(self.whom.operations))
            or any(spec.kind in self.whom.kinds for spec in loss.model.inputs.values())
            or any(item.label in self.whom.labels for item in loss.inputs)
            or any(name in loss.model.params for name in self.whom.params)
            or (self.whom.parametrised is True and bool(loss.model.params))
            or bool(choices & set(self.whom.choices.items()))
            or (self.whom.differentiated is not None and len(loss.gradient_of) >= self.whom.differentiated)
        )


def choices_of(loss: Loss, name: str) -> list[str]:
    """The choices of a parameter; none where it is a number or absent."""
    return (loss.model.params[name].choices or []) if name in loss.model.params else []


def edges(folder: Path | None = None) -> tuple[Edge, ...]:
    """The edges of a folder of specs (default: lossmark's own), in order; raises :class:`SpecError`."""
    return _edges((folder or room("specs")).resolve())


@functools.cache
def _edges(folder: Path) -> tuple[Edge, ...]:
    document = read(folder / EDGES_FILE)
    model = validate(EdgesModel, document)
    _check(model, document)
    return tuple(
        Edge(entry.id, entry.title, tuple(entry.flags or ()), entry.check or "", entry.concerns)
        for entry in model.edges
    )


def canonical_edges(folder: Path) -> str:
    """The canonical text of the folder's edges, comments and order kept."""
    return dump(editable(read(folder / EDGES_FILE).text))


def _check(model: EdgesModel, document: Document) -> None:
    """Ids are unique, an edge is covered in one way, and what it concerns exists in the formula language."""
    known = sorted(name for name, operation in OPERATIONS.items() if operation.is_called)
    seen = set()
    for index, entry in enumerate(model.edges):
        if entry.id in seen:
            raise document.error(("edges", index, "id"), f"duplicate id {entry.id!r}")
        seen.add(entry.id)
        if (entry.flags is None) == (entry.check is None):
            raise document.error(("edges", index), "expected either flags or check")
        for number, operation in enumerate(entry.concerns.operations if entry.concerns else ()):
            if operation not in known:
                message = f"found {operation!r}, expected one of {known}"
                raise document.error(("edges", index, "concerns", "operations", number), message)
