"""The ways in which a function may differ from a spec and still compute the same: each is declared once, here.

They speak of kinds of inputs and of parameters, never of a loss. At most one is taken of each slot, and a function is
held to the spec that those which are taken make: what a library rounds itself is in the bound.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64
from ..formula.tree import EMBEDDING, Input, Sizes
from ..specification.case import Param
from ..specification.hexfloat import parse
from ..specification.loss import Loss

Handed = NDArray[Any]
Hand = Callable[[F64, Sizes], Handed | None]
"""What a call gets in place of a label ``[B]``, from its numbers and the length of each axis; None where it cannot."""
Text = Callable[[str], str]
"""What becomes of the text of a formula."""
FactorRule = Callable[[Mapping[str, Any], Sizes], float]
"""What the spec's loss is multiplied by, from its parameters and the length of each axis."""
USUAL_VALUES = (0.0, 0.05, 0.07, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Values at which libraries hold a parameter that a call does not take."""
GUARDED = (1e-8, 1e-12, 1e-6, 1e-7)
"""What libraries keep a division or a root from 0 with."""


@dataclass(frozen=True, eq=False)
class Transformation:
    """One declared difference, in ``words``, that fills a ``slot``.

    ``handed``: what the call gets in place of a label. ``exchanged``: two inputs that change places. ``labels``: labels
    that the call does not take, with the value that stands for all. ``fixed``: parameters that it does not take.
    ``forms``: inputs that the call gets as a function of the spec's, with the text of the inverse that then stands in
    the formula. ``text``: what else becomes of the formula. ``guard``, ``epsilon``: as a declared deviation has them.
    ``factor``: the loss is so many times the spec's. ``reduction``: what the result is, if it is one number.
    ``accumulates``: in 16 bits the sums of an example are in the dtype of the inputs.
    """

    words: str
    slot: str
    handed: Mapping[str, Hand] = field(default_factory=dict)
    exchanged: tuple[str, str] | None = None
    labels: Mapping[str, float] = field(default_factory=dict)
    fixed: Mapping[str, Param] = field(default_factory=dict)
    forms: Mapping[str, tuple[Callable[[F64], F64], str]] = field(default_factory=dict)
    text: Text | None = None
    guard: Mapping[str, float] = field(default_factory=dict)
    epsilon: Mapping[str, float] = field(default_factory=dict)
    factor: FactorRule | None = None
    reduction: str = ""
    accumulates: bool = False

    @property
    def rewrites(self) -> bool:
        """Whether it changes the formula."""
        return bool(self.forms or self.text or self.guard or self.epsilon)


IN_THE_DTYPE = Transformation("in 16 bits with sums in the dtype of the inputs", "accumulator", accumulates=True)


def transformations(loss: Loss, taken: frozenset[str]) -> dict[str, list[Transformation]]:
    """By slot: the differences that a call may have which takes the inputs and parameters ``taken``."""
    found: dict[str, list[Transformation]] = {}
    for each in _all(loss, taken):
        found.setdefault(each.slot, []).append(each)
    return found


def _all(loss: Loss, taken: frozenset[str]) -> Iterator[Transformation]:
    for item in loss.inputs:
        yield from _labels(item, item.name in taken)
        if item.name in taken and item.name in loss.gradient_of:
            yield from _forms(item, loss)
    yield from _exchanges(loss, taken)
    yield from _fixed(loss, taken)
    yield Transformation("summed over the batch", "reduction", reduction="sum")
    if loss.model.reduction is not None:
        yield Transformation(
            "the mean is over all rows", "reduction", reduction="sum", factor=lambda params, sizes: 1 / sizes["B"]
        )
    yield from _factors(loss, taken)
    yield from _normalised(loss, taken)
    yield from _rewritten(loss)


def _labels(item: Input, taken: bool) -> Iterator[Transformation]:
    slot = f"label {item.name}"
    if item.label in ("hard", "soft"):
        if not taken:
            for value in (1.0, 0.0):
                yield Transformation(f"{item.name} is {value:g} throughout", slot, labels={item.name: value})
            return
        ways: dict[str, Hand] = {}
        if item.label == "soft":
            ways[f"{item.name} is 0 or 1, nothing between"] = lambda y, sizes: y if _hard(y) else None
        ways |= {
            f"{item.name} as −1 and +1": lambda y, sizes: 2 * y - 1 if _hard(y) else None,
            f"0 and 1 of {item.name} exchanged": lambda y, sizes: 1 - y,
            f"{item.name} as +1 and −1": lambda y, sizes: 1 - 2 * y if _hard(y) else None,
        }
    elif item.label == "index" and taken:
        ways = {
            f"{item.name} as one-hot rows": lambda y, sizes: _one_hot(y, sizes[item.index]),
            f"{item.name} as one-hot rows of −1 and +1": lambda y, sizes: 2 * _one_hot(y, sizes[item.index]) - 1,
        }
    else:
        return
    for words, way in ways.items():
        yield Transformation(words, slot, handed={item.name: way})


def _hard(y: F64) -> bool:
    """Whether labels are 0, 1 or NaN."""
    return bool(np.all((y == 0) | (y == 1) | np.isnan(y)))


def _one_hot(y: F64, classes: int) -> F64:
    return np.asarray(y[:, None] == np.arange(classes), np.float64)


def _forms(item: Input, loss: Loss) -> Iterator[Transformation]:
    kind, slot, x = loss.model.inputs[item.name].kind, f"form {item.name}", item.name
    if kind == "logits" and len(item.dims) == 1:
        inverse = f"(log({x}) - log(1 - {x}))"
        yield Transformation(f"takes the sigmoid of {x}", slot, forms={x: (_sigmoid, inverse)})
    elif kind == "logits":
        yield Transformation(f"takes exp({x})", slot, forms={x: (np.exp, f"log({x})")})
    elif kind == "distance":
        yield Transformation(f"takes the square of {x}", slot, forms={x: (np.square, f"sqrt({x})")})
        yield Transformation(f"takes the root of {x}", slot, forms={x: (np.sqrt, f"({x})**2")})


def _sigmoid(x: F64) -> F64:
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))


def _exchanges(loss: Loss, taken: frozenset[str]) -> Iterator[Transformation]:
    names = [item.name for item in loss.inputs if item.name in taken and not item.label]
    kinds = {name: (loss.dims[name], loss.model.inputs[name].kind) for name in names}
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            if kinds[first] == kinds[second]:
                words = f"{first} and {second} change places"
                yield Transformation(words, "order of arguments", exchanged=(first, second))


def _fixed(loss: Loss, taken: frozenset[str]) -> Iterator[Transformation]:
    for name, model in loss.model.params.items():
        if name in taken or name in loss.integers:
            continue
        default = loss.params({})[name]
        lowest = -math.inf if model.at_least is None else parse(model.at_least)
        values: list[Param] = [*(model.choices or ())] or [x for x in USUAL_VALUES if x >= lowest]
        for value in values:
            if value != default:
                text = value if isinstance(value, str) else f"{value:g}"
                yield Transformation(f"{name} is {text}", f"parameter {name}", fixed={name: value})


def _factors(loss: Loss, taken: frozenset[str]) -> Iterator[Transformation]:
    slot = "factor"
    for factor, words in ((2.0, "twice"), (0.5, "half of"), (-1.0, "minus")):
        yield Transformation(f"{words} the loss", slot, factor=_constant(factor))
    for name, model in loss.model.params.items():
        if model.choices is None and name not in loss.integers and name in taken:
            for power, words in ((-1, f"divided by {name}"), (-2, f"divided by {name}²"), (1, f"times {name}")):
                yield Transformation(words, slot, factor=_power(name, power))
    for axis in loss.axes:
        if axis != EMBEDDING:
            what = "the batch" if axis == "B" else f"{axis} (the classes)"
            yield Transformation(f"divided by {what}", slot, factor=_length(axis, -1))
            yield Transformation(f"times {what}", slot, factor=_length(axis, 1))


def _constant(factor: float) -> FactorRule:
    return lambda params, sizes: factor


def _power(name: str, power: int) -> FactorRule:
    return lambda params, sizes: float(params[name]) ** power if params[name] else 1.0


def _length(axis: str, power: int) -> FactorRule:
    return lambda params, sizes: float(sizes[axis]) ** power


def _normalised(loss: Loss, taken: frozenset[str]) -> Iterator[Transformation]:
    """Distributions that a function divides by their sums first, of a loss that does not do so itself."""
    kinds = {item.name: loss.model.inputs[item.name].kind for item in loss.inputs if item.name in taken}
    operations = {node.op for found in loss.formulas.values() for node in found.order}
    if "probability" not in kinds.values() or operations & {"lse", "softmax"}:
        return
    for item in loss.inputs:
        text = {
            "probability": f"{item.name}/sum({item.name}, {item.dims[-1]})",
            "logits": f"{item.name} - lse({item.name}, {item.dims[-1]})",
        }.get(kinds.get(item.name) or "")
        if text:
            slot = f"normalised {item.name}"
            yield Transformation(f"normalises {item.name}", slot, text=_in_place_of(item.name, text))


def _in_place_of(name: str, text: str) -> Text:
    pattern = re.compile(rf"\b{name}\b")
    return lambda formula: pattern.sub(f"({text})", formula)


def _rewritten(loss: Loss) -> Iterator[Transformation]:
    """What concerns the formula as a whole: squares, norms, and what keeps them from 0."""
    formula = loss.model.formula
    texts = " ".join([formula.loss, *formula.where.values()])
    vectors = [name for name, model in loss.model.inputs.items() if model.kind == "embedding"]
    if "**2" in texts:
        yield Transformation("not squared", "square", text=lambda text: text.replace("**2", ""))
    if re.search(r"\bnorm\(", texts):
        yield Transformation("of squared distances", "norm", text=lambda text: re.sub(r"\bnorm\(", "sqnorm(", text))
        for value in GUARDED:
            yield Transformation(f"{value:g} added to each difference", "guard", epsilon={"difference": value})
            yield Transformation(f"{value:g} added under the root", "guard", epsilon={"root": value})
    if "sqnorm(" in texts:
        yield Transformation(
            "of distances that are not squared", "norm", text=lambda text: text.replace("sqnorm(", "norm(")
        )
    operations = {node.op for found in loss.formulas.values() for node in found.order}
    if operations.issuperset(("dot", "norm", "max")):
        for value in GUARDED:
            yield Transformation(f"each norm is at least {value:g}", "guard", guard={"per norm": value})
            yield Transformation(f"the product of norms has {value:g} added", "guard", guard={"added": value})
    elif vectors:
        pattern = re.compile(rf"\b({'|'.join(vectors)})\b")
        yield Transformation(
            "of normalised embeddings", "normalised", text=lambda text: pattern.sub(r"(\1/norm(\1))", text)
        )
