"""Laws: how a loss answers to a change of its inputs or parameters, as declared under ``properties`` of its spec.

A law replaces inputs by expressions in the formula language (``x1: "x1 + t"``, where ``t`` is any vector, or any number
for a loss without vectors) and says what becomes of the loss, again as an expression, over ``loss`` and the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ..dtypes import F64
from ..formula.grammar import Parser
from ..formula.tree import Builder, Dims, Node, topological
from ..readings.double_double import Wide
from ..readings.layout import laid_out, placed, taken_out
from ..readings.wide import RULES
from .case import Case, Param
from .document import Document, Path_
from .formulas import axes_of, call_dims
from .model import PropertyModel, SpecModel
from .parameters import check_when

ANY = "t"
"""The name of what may be any vector, or any number where the loss has no vectors."""
OFFSET = "k"
"""The name of what may be any number."""


@dataclass(frozen=True)
class Law:
    """``changes`` maps inputs and parameters to their new trees; the loss then is ``relation``, or at least that.

    ``axes`` are those that the arrays have, ``free`` that of the vector t, none where it is a number.
    """

    id: str
    why: str
    when: Mapping[str, str]
    changes: Mapping[str, Node]
    relation: Node
    at_least: bool
    axes: Dims
    free: Dims

    def changed(self, case: Case, params: Mapping[str, Param], shift: F64) -> Case | None:
        """The case with its inputs changed, ``shift`` for t, repeated; None where the law does not speak of it.

        The first number of ``shift`` stands for k.

        That is, for other parameters, or where a changed number is not a float64 exactly.
        """
        if any(params[name] != value for name, value in self.when.items()):
            return None
        single = (1,) * len(self.axes)
        offset = np.full(single, shift.flat[0])
        vector = [laid_out(np.resize(shift, case.sizes[axis]), self.free, self.axes) for axis in self.free]
        leaves = {ANY: (vector or [offset])[0], OFFSET: offset}
        leaves |= {name: laid_out(array, case.dims[name], self.axes) for name, array in case.inputs.items()}
        leaves |= {name: np.full(single, value) for name, value in params.items() if isinstance(value, float)}
        inputs, given = dict(case.inputs), dict(case.params)
        with np.errstate(all="ignore"):
            known = values(list(self.changes.values()), leaves, self.axes)
        for name, tree in self.changes.items():
            result = known[tree]
            if result.lo is None or (result.lo != 0).any() or not np.isfinite(result.hi).all():
                return None
            if name in inputs:
                inputs[name] = taken_out(result.hi, case.dims[name], self.axes, case.sizes)
            else:
                given[name] = float(result.hi.item())
        return replace(case, id=f"{case.id} under {self.id} {shift.tolist()}", inputs=inputs, params=given, golden=None)


def values(trees: Sequence[Node], leaves: Mapping[str, F64], axes: Dims) -> dict[Node, Wide]:
    """The values of trees without labels' comparisons, in double-double arithmetic."""
    known: dict[Node, Wide] = {}
    for node in topological(trees):
        if isinstance(node.payload, Fraction):
            single = (1,) * len(axes)
            known[node] = Wide(np.full(single, float(node.payload)), np.zeros(single))
        elif not node.args:
            leaf = leaves[str(node.payload)]
            known[node] = Wide(leaf, np.zeros_like(leaf))
        else:
            known[node] = placed(RULES[node.op], node, axes)(*(known[arg] for arg in node.args))
    return known


def laws(model: SpecModel, document: Document) -> tuple[Law, ...]:
    """The laws that a spec declares; raises :class:`SpecError`."""
    found: dict[str, Law] = {}
    for index, item in enumerate(model.properties):
        law = _law(model, item, document, ("properties", index))
        if law.id in found:
            raise document.error(("properties", index, "id"), f"duplicate id {law.id!r}")
        found[law.id] = law
    return tuple(found.values())


def _law(model: SpecModel, item: PropertyModel, document: Document, path: Path_) -> Law:
    numeric = [name for name, param in model.params.items() if param.choices is None]
    check_when(model, document, item.when, (*path, "when"))
    axes = tuple(axis for axis in axes_of(model, document) if axis not in model.axes)
    build = Builder(axes)
    dims = {name: call_dims(model, spec.dims) for name, spec in model.inputs.items()}
    leaves = {name: build("input", payload=name, dims=found) for name, found in dims.items()}
    leaves |= {name: build("param", payload=name) for name in numeric}
    vector = next((found[-1:] for found in dims.values() if len(found) > 1), ())
    free = {ANY: build("input", payload=ANY, dims=vector), OFFSET: build("input", payload=OFFSET, dims=())}
    known = free | leaves
    changes = {}
    for name, text in item.given.items():
        place = (*path, "given", name)
        if name not in leaves:
            raise document.error(place, f"found {name!r}, expected one of {[*dims, *numeric]}")
        changes[name] = Parser(build, dict(known), {}).parse(text, document.place(place))
        if not set(changes[name].dims) <= set(leaves[name].dims):
            raise document.error(place, f"{name} is a scalar of an example, this is a vector over {axes[1]}")
    key = "becomes" if item.at_least is None else "at_least"
    names = {"loss": build("input", payload="loss")} | {name: leaves[name] for name in numeric}
    relation = Parser(build, names, {}).parse(getattr(item, key), document.place((*path, key)))
    return Law(item.id, item.why, item.when, changes, relation, item.at_least is not None, axes, vector)
