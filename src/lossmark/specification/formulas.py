"""The formulas of a spec, read into trees: one for each combination of the parameters that have choices."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from ..formula.derivative import gradients
from ..formula.gradients import Gradients
from ..formula.grammar import Parser
from ..formula.masked import leaves_out
from ..formula.tree import BATCH, EMBEDDING, Builder, Dims, Formula, Input, Node, topological
from .document import Document, Path_
from .model import Association, IndexLabel, SpecModel
from .parameters import check_when, combinations

_NUMBERS = {"equal": slice(0), "pick": slice(1)}
"""The operands that an operation computes with, where it only compares others or picks by them."""
_NUMERIC = frozenset({"embedding", "score", "distance", "logits", "number"})
"""The kinds of what holds any numbers: it is no label, also where the loss is not differentiated by it."""
Chosen = tuple[str, ...]
"""A choice for each parameter that has choices, in the order of the spec."""


def formulas(model: SpecModel, document: Document) -> dict[Chosen, Gradients]:
    """The formula with its gradients for each combination of choices; raises :class:`SpecError`."""
    for index, entry in enumerate(model.formula.associations):
        if isinstance(entry, Association):
            check_when(model, document, entry.when, ("formula", "associations", index, "when"))
    return {tuple(chosen.values()): _formula(model, document, chosen) for chosen in combinations(model, document)}


def _formula(model: SpecModel, document: Document, chosen: Mapping[str, str]) -> Gradients:
    axes = axes_of(model, document)
    build = Builder(axes)
    names = {name: build("input", payload=name, dims=tuple(spec.dims)) for name, spec in model.inputs.items()}
    names |= {name: build("param", payload=name) for name, spec in model.params.items() if spec.choices is None}
    leaves = dict(names)
    ignored = {
        leaves[name]: leaves[spec.label.ignore]
        for name, spec in model.inputs.items()
        if isinstance(spec.label, IndexLabel) and spec.label.ignore
    }
    indices = {
        leaves[name]: spec.label.index for name, spec in model.inputs.items() if isinstance(spec.label, IndexLabel)
    }
    parser = Parser(build, names, chosen, ignored, indices, frozenset(model.axes))
    for name, text in model.formula.where.items():
        if name in names:
            raise document.error(("formula", "where", name), f"{name!r} is already defined")
        names[name] = parser.parse(text, document.place(("formula", "where", name)), term=True)
    loss = _scalar(parser, model.formula.loss, document, ("formula", "loss"))
    associations = _associations(parser, model, document, chosen)
    divisor = _divisor(parser, model, document)
    used = topological([loss])
    inputs = tuple(_input(name, leaves[name], model, document, used) for name in model.inputs)
    _check_compared(model, document, leaves, used)
    for axis in model.axes:
        if all(axis not in node.dims for node in used):
            raise document.error(("axes", axis), "expected an axis that an input or the formula has")
    for item in inputs:
        if leaves[item.name] not in used:
            raise document.error(("inputs", item.name), "the formula does not use this input")
    written = (
        None
        if model.formula.textbook is None
        else _scalar(parser, model.formula.textbook, document, ("formula", "textbook"))
    )
    trees = [loss, *associations, *([] if written is None else [written])]
    inputs = tuple(_masked(item, inputs, leaves, trees, document) for item in inputs)
    named, again = tuple(names.items()), frozenset(model.axes)
    formula = Formula(loss, associations, inputs, tuple(model.gradient_of), named, axes, divisor, again)
    wrt = {name: leaves[name] for name in model.gradient_of}
    textbook = None
    if written is not None:
        form = replace(formula, loss=written, associations=())
        textbook = Gradients(form, tuple(gradients(build, form.evaluations, wrt)))
    return Gradients(formula, tuple(gradients(build, formula.evaluations, wrt)), textbook)


def axes_of(model: SpecModel, document: Document) -> Dims:
    """The axes that arrays of a reading have: the batch and those beside it, D where no input has any.

    They stand in an order in which the memory of every input has its own; raises :class:`SpecError` if there is none.
    """
    before: dict[str, list[str]] = {BATCH: []}
    for spec in model.inputs.values():
        for axis in spec.dims:
            before.setdefault(axis, [BATCH] if axis != BATCH else [])
        for first, second in itertools.pairwise(spec.dims):
            before[second].append(first)
    for axis in model.axes:
        before.setdefault(axis, [BATCH])
    try:
        found = tuple(TopologicalSorter(before).static_order())
    except CycleError:
        raise document.error(("inputs",), "the inputs have their axes in different orders of memory") from None
    return found if len(found) > 1 else (BATCH, EMBEDDING)


def call_dims(model: SpecModel, dims: Iterable[str]) -> Dims:
    """The axes of an array as a call has them: what runs over the batch again is the batch."""
    return tuple(model.axes.get(axis, axis) for axis in dims)


def _associations(parser: Parser, model: SpecModel, document: Document, chosen: Mapping[str, str]) -> tuple[Node, ...]:
    """The equal evaluations that hold for these choices."""
    found = []
    for index, entry in enumerate(model.formula.associations):
        text, when = (entry.loss, entry.when) if isinstance(entry, Association) else (entry, {})
        if all(chosen[name] == value for name, value in when.items()):
            found.append(_scalar(parser, text, document, ("formula", "associations", index)))
    return tuple(found)


def _scalar(parser: Parser, text: str, document: Document, path: Path_) -> Node:
    node = parser.parse(text, document.place(path))
    along = [axis for axis in node.dims if axis != BATCH]
    if along:
        raise document.error(path, f"the loss of an example must be a scalar, this is a vector over {along[0]}")
    for label in parser.ignored:
        node = parser.counted(label, node)
    return node


def _divisor(parser: Parser, model: SpecModel, document: Document) -> Node | None:
    """What an example adds to the number that the written mean divides by."""
    if model.reduction is None:
        return None
    path = ("reduction", "mean")
    text = model.reduction.mean
    head, tail = "sum(loss, B)/sum(", ", B)"
    if not (text.startswith(head) and text.endswith(tail)):
        raise document.error(path, f"found {text!r}, expected {head}…{tail}")
    node = parser.parse(text[len(head) : -len(tail)], document.place(path))
    names = {str(leaf.payload) for leaf in topological([node]) if leaf.op == "input"}
    if {*node.dims} != {BATCH} or names & {*model.gradient_of}:
        raise document.error(path, "expected one number of each example, of no input in gradient_of")
    return node


def _input(name: str, node: Node, model: SpecModel, document: Document, used: list[Node]) -> Input:
    """An input of an example that is not differentiated is a label, but for one whose kind is a number.

    It is an index, or a class, where the spec says so. Else it is hard if the formula only compares it, and soft if it
    computes with it.
    """
    spec = model.inputs[name]
    optional = None if spec.optional is None else float(spec.default or 0)
    dims = call_dims(model, node.dims)
    if name in model.gradient_of or BATCH not in dims:
        return Input(name, dims, node.dims, optional=optional)
    if spec.label is None and spec.kind in _NUMERIC:
        return Input(name, dims, node.dims, optional=optional)
    if isinstance(spec.label, IndexLabel):
        return Input(name, dims, node.dims, "index", spec.label.index, spec.label.ignore or "")
    if spec.label == "mask":
        return _mask(name, dims, node, document, used)
    computes = _computes_with(node, used)
    if spec.label is not None and computes:
        raise document.error(
            ("inputs", name, "label"), f"a {spec.label} is only compared, the formula computes with it"
        )
    return Input(name, dims, node.dims, "class" if spec.label == "class" else "soft" if computes else "hard")


def _mask(name: str, dims: Dims, node: Node, document: Document, used: list[Node]) -> Input:
    """A mask, which conditions alone look at."""
    if _computes_with(node, used):
        raise document.error(("inputs", name, "label"), "a mask is only compared, the formula computes with it")
    return Input(name, dims, node.dims, "hard", mask=True)


def _masked(
    item: Input, inputs: tuple[Input, ...], leaves: Mapping[str, Node], trees: list[Node], document: Document
) -> Input:
    """The input with the masks that leave entries of it out; one at least of those with no other axes than its own."""
    masks = [each for each in inputs if each.mask and not item.mask and {*each.axes} <= {*item.axes}]
    found = tuple(each.name for each in masks if leaves_out(leaves[each.name], leaves[item.name], trees))
    if masks and not found:
        names = " or ".join(f"{each.name} == 1" for each in masks)
        message = f"what the mask leaves out reaches the loss: expected where({names}, …), only or lse around it"
        raise document.error(("inputs", item.name), message)
    return replace(item, masks=found)


def _check_compared(model: SpecModel, document: Document, leaves: Mapping[str, Node], used: list[Node]) -> None:
    """A condition compares labels, not what the loss is differentiated by."""
    for name in model.gradient_of:
        if any(node.op == "equal" and leaves[name] in node.args for node in used):
            raise document.error(("gradient_of",), f"the formula compares {name!r}, which only a label can be")


def _computes_with(node: Node, used: list[Node]) -> bool:
    """Whether an operation computes with a node, or with that of the other example."""
    users = [user for user in used if node in user.args[_NUMBERS.get(user.op, slice(None))]]
    return any(user.op != "swap" or _computes_with(user, used) for user in users)
