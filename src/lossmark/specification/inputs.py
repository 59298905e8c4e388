"""Every drawing of inputs: which numbers a loss is called with where no spec writes them down.

The numbers depend on the seed alone: the order in which the inputs are drawn is that of the spec, and results are
compared between revisions. Whoever needs inputs asks here: families, the random search, second derivatives, timings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType
from ..formula.tree import BATCH, EMBEDDING, Input, Sizes, shape_of
from ..readings.layout import laid_out
from . import hexfloat as numbers
from .borders import SCALED_ROWS, at_borders
from .case import Case, Family, left_out
from .loss import Loss
from .masks import counts

Numbers = NDArray[Any]
Draw = Callable[[tuple[int, ...]], Numbers]
"""Draws one input of a shape."""

IGNORED = 8
"""One in so many rows of a family is ignored, where it says what marks them."""
LABELS: Mapping[str, tuple[float, ...]] = {
    "hard": (0.0, 1.0),
    "soft": (0.0, 1.0, 0.25, 0.625),
    "class": (0.0, 1.0, 2.0),
}
"""The values of labels in a random search, simplest first."""


def draw(loss: Loss, family: Family, dtype: DType) -> Case:
    """The family's case in one dtype: every number is drawn in float64, scaled and rounded to the format."""
    generator = np.random.Generator(np.random.PCG64([family.model.seed, *family.shape]))
    if family.model.distribution == "borders":
        return _case(loss, family, _bordering(loss, family, dtype, generator))
    scale = numbers.parse(family.model.scale)
    unscaled: Draw = generator.random if family.model.distribution == "uniform" else generator.standard_normal

    def number(shape: tuple[int, ...]) -> Numbers:
        return dtype.round(scale * unscaled(shape))

    def soft(shape: tuple[int, ...]) -> Numbers:
        if family.model.distribution == "simplex":
            powers = np.exp(generator.standard_normal(shape))
            return dtype.round(powers / powers.sum(axis=-1, keepdims=True))
        return np.asarray(generator.choice([0.0, 1.0, 0.0, 1.0, 0.25, 0.625], shape))

    def weight(shape: tuple[int, ...]) -> Numbers:
        return dtype.round(generator.uniform(0.5, 2, shape))

    draws = {
        "class": _classes(generator, np.float64),
        "hard": _bits(generator, np.float64),
        "soft": soft,
        "embedding": number,
        "number": number,
        "weight": weight,
    }
    return _case(
        loss, family, _each(loss, family.sizes, draws | _indices(loss, generator, family), _absent(loss, family))
    )


def _absent(loss: Loss, family: Family) -> frozenset[str]:
    """The optional inputs that are left out."""
    return frozenset(loss.optional) - {*family.model.optional}


def _case(loss: Loss, family: Family, inputs: Mapping[str, F64]) -> Case:
    """The case of a family; of what a mask leaves out every second entry is NaN, which nobody is to see."""
    given = {}
    for item in loss.inputs:
        array = inputs[item.name]
        unseen = ~counts(item, inputs, loss.inputs) & (np.arange(array.size) % 2 == 1).reshape(array.shape)
        given[item.name] = np.where(unseen, np.nan, array) if item.masks else array
    return Case(family.id, loss.id, family.params, given, loss.dims, absent=_absent(loss, family))


def _indices(loss: Loss, generator: np.random.Generator, family: Family) -> dict[str, Draw]:
    """For each integer label a drawing of indices, of which one in eight is ignored where the family names a mark."""

    def drawing(item: Input) -> Draw:
        def draw(shape: tuple[int, ...]) -> Numbers:
            found = generator.integers(0, family.sizes[item.index], shape).astype(np.float64)
            ignored = generator.random(shape) < 1 / IGNORED
            return np.where(ignored, family.params[item.ignore], found) if item.ignore in family.params else found

        return draw

    return {item.name: drawing(item) for item in loss.inputs if item.label == "index"}


def _bordering(loss: Loss, family: Family, dtype: DType, generator: np.random.Generator) -> dict[str, Numbers]:
    """The inputs of a family at the borders of the dtype, from rows of numbers between 1/2 and 1 times its scale."""
    scale = numbers.parse(family.model.scale)

    def number(shape: tuple[int, ...]) -> Numbers:
        return dtype.round(scale * generator.uniform(0.5, 1, shape))

    def embedding(shape: tuple[int, ...]) -> Numbers:
        return np.asarray(number(shape) * generator.choice([-1.0, 1.0], shape))

    def label(shape: tuple[int, ...]) -> Numbers:
        return np.resize([0.0, 1.0], shape)

    draws = {"hard": label, "soft": label, "class": label, "embedding": embedding, "number": number, "weight": number}
    draws |= _indices(loss, generator, family)
    few = {**family.sizes, BATCH: SCALED_ROWS}
    drawn = _each(loss, few, draws, _absent(loss, family))
    gradients = loss.gradients(family.params)
    bases = {item.name: laid_out(drawn[item.name], item.dims, gradients.formula.axes) for item in loss.inputs}
    found = at_borders(gradients, loss.params(family.params), bases, dtype, family.sizes[BATCH])
    return {item.name: found[item.name].reshape(shape_of(item.dims, family.sizes)) for item in loss.inputs}


def timed(loss: Loss, size: tuple[int, int], dtype: DType, seed: int) -> dict[str, Numbers]:
    """Inputs of a call that is timed, of a size (B, D) and in the dtype: realistic numbers on which branches vary.

    Normal embeddings whose scores have variance 1, normal logits, distances around a margin of 1, labels 0 and 1, any
    class. What may be left out of a call is.
    """
    generator = np.random.default_rng([seed, *size])
    bits = _bits(generator, dtype.numpy)

    def embedding(shape: tuple[int, ...]) -> Numbers:
        return (generator.standard_normal(shape, np.float32) / scale).astype(dtype.numpy)

    def number(shape: tuple[int, ...]) -> Numbers:
        return generator.uniform(0, 2, shape).astype(dtype.numpy)

    scale = float(size[1] ** 0.5) if EMBEDDING in loss.axes or not loss.classes else 1.0

    def index(shape: tuple[int, ...]) -> Numbers:
        return generator.integers(0, size[1], shape)

    same = _classes(generator, dtype.numpy)
    draws = {"hard": bits, "soft": bits, "class": same, "embedding": embedding, "number": number, "index": index}
    draws["weight"] = number
    found = _each(loss, loss.sizes(size), draws, frozenset(loss.optional))
    return {name: array for name, array in found.items() if name not in loss.optional}


def directions(case: Case, names: Sequence[str]) -> dict[str, F64]:
    """A direction for each input named, of its shape: small dyadic numbers, none 0."""
    generator = np.random.default_rng(2)
    return {name: _dyadic(generator, case.inputs[name].shape) for name in names}


def searched(loss: Loss, item: Input, dtype: DType, classes: int) -> list[float]:
    """The numbers that a random search chooses from for an input, simplest first.

    For a label its values, of which an index has as many as ``classes``. Else half of them are small dyadic numbers,
    and half any numbers of the dtype, of either sign where the input has such.
    """
    if item.label == "index":
        return [float(index) for index in range(classes)]
    if item.label:
        return list(LABELS[item.label])
    signed = loss.signed(item)
    dyadic = sorted((k / 8 for k in range(-32 if signed else 0, 33)), key=lambda x: (x * 8 % 8 != 0, abs(x), x < 0))
    generic = np.random.default_rng(dtype.p).integers(-(2**dtype.p), 2**dtype.p, len(dyadic)) * 2.0 ** (2 - dtype.p)
    return [*dyadic, *np.where(signed, generic, np.abs(generic)).tolist()]


def _each(loss: Loss, sizes: Sizes, draws: Mapping[str, Draw], absent: frozenset[str]) -> dict[str, Numbers]:
    """The inputs of a loss by name, each drawn as what it is; what is ``absent`` has the numbers it then stands for."""
    found = {}
    for item in loss.inputs:
        if item.name in absent:
            found[item.name] = left_out(item, sizes)
            continue
        weight = not item.dims or (item.shared and item.name not in loss.gradient_of)
        usual = "weight" if weight else "embedding" if loss.signed(item) else "number"
        of_its_own = item.label == "index" and item.name in draws
        drawing = draws[item.name if of_its_own else item.label or usual]
        found[item.name] = drawing(shape_of(item.dims, sizes))
    return found


def _classes(generator: np.random.Generator, dtype: Any) -> Draw:
    """Labels of which about four examples have the same, in a dtype."""
    return lambda shape: generator.integers(0, 1 + shape[0] // 4, shape).astype(dtype)


def _bits(generator: np.random.Generator, dtype: Any) -> Draw:
    """Labels 0 and 1 in a dtype."""
    return lambda shape: generator.integers(0, 2, shape).astype(dtype)


def _dyadic(generator: np.random.Generator, shape: tuple[int, ...]) -> F64:
    return np.asarray(generator.integers(1, 5, shape) * generator.choice([-0.5, 0.5], shape))
