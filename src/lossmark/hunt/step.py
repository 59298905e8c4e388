"""Steps of a hunt: small and large changes of the numbers of a candidate, on their bit patterns and on the line.

Every step gives finite numbers of the format that the loss is defined for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType
from ..formula.tree import Input
from ..specification.case import Case
from ..specification.inputs import LABELS
from ..specification.loss import Loss

STEPS = 3
"""Changes that one candidate gets at most."""
MAGNITUDES = 12
"""Numbers are drawn between 2 to the minus this and 2 to the power of this, one in four of any size of the format."""
SAME_CLASSES = 4
"""Labels of the same class are drawn from so many."""

Bits = NDArray[np.signedinteger]


def stepped(loss: Loss, case: Case, mate: Case, dtype: DType, generator: np.random.Generator) -> Case:
    """A candidate near ``case``, from one to :data:`STEPS` changes; ``mate`` may give it some of its inputs."""
    inputs = dict(case.inputs)
    movable = [item for item in loss.inputs if item.name not in case.absent and _moves(item, loss)]
    plain = [item for item in movable if item.label in (None, "soft")]
    for _ in range(generator.integers(1, STEPS + 1)):
        item = movable[generator.integers(len(movable))]
        if item.label in (None, "soft") and generator.random() < 0.9:
            some = plain if generator.random() < 0.2 else [item]
            _move(loss, inputs, some, dtype, generator)
        elif item.label and generator.random() < 0.9:
            inputs[item.name] = _relabelled(item, inputs[item.name], case, generator)
        else:
            inputs[item.name] = mate.inputs[item.name]
    return replace(case, inputs=inputs)


def _moves(item: Input, loss: Loss) -> bool:
    """Whether an input is an example's own, or one that the loss is differentiated by."""
    return not item.shared or item.name in loss.gradient_of


def _move(loss: Loss, inputs: dict[str, F64], items: list[Input], dtype: DType, generator: np.random.Generator) -> None:
    """Change some numbers of some inputs by one move: one of them, those of a row, or all."""
    move = MOVES[generator.integers(len(MOVES))]
    reach = generator.random()
    seed = int(generator.integers(1 << 32))
    for item in items:
        array = inputs[item.name].copy()
        flat = array.reshape(-1)
        places = _places(array, reach, generator)
        others = np.concatenate([inputs[other.name].reshape(-1) for other in items])
        here = np.random.default_rng(seed) if len(items) > 1 else generator
        with np.errstate(all="ignore"):
            moved = dtype.round(np.asarray(move(flat[places], others, dtype, here), np.float64))
            flat[places] = _allowed(loss, item, moved, flat[places])
        inputs[item.name] = array


def _places(array: F64, reach: float, generator: np.random.Generator) -> NDArray[np.intp]:
    """One place of an array, those of a row, or all."""
    first, count = 0, array.size
    if reach < 0.6:
        first, count = int(generator.integers(array.size)), 1
    elif reach < 0.8 and array.ndim > 1:
        count = array.shape[-1]
        first = count * int(generator.integers(array.size // count))
    return np.arange(first, first + count, dtype=np.intp)


def _allowed(loss: Loss, item: Input, moved: F64, before: F64) -> F64:
    """The numbers where the loss is defined for them, else those that were there before."""
    kept = np.isfinite(moved)
    if item.label == "soft" or not loss.signed(item):
        kept &= (moved >= 0) & (moved <= (1 if item.label else np.inf))
        moved = moved + 0.0  # without the sign of a zero
    return np.where(kept, moved, before)


def _relabelled(item: Input, array: F64, case: Case, generator: np.random.Generator) -> F64:
    """The labels with one of them, or all, drawn anew."""
    found = array.copy()
    flat = found.reshape(-1)
    places = _places(array, generator.random(), generator)
    if item.label == "index":
        flat[places] = generator.integers(0, case.sizes[item.index], len(places))
    elif item.label == "class":
        flat[places] = generator.integers(0, SAME_CLASSES, len(places))
    else:
        flat[places] = generator.choice(LABELS[item.label or "hard"], len(places))
    return found


def bits_of(x: F64, dtype: DType) -> Bits:
    """The bit patterns of numbers of a format."""
    return np.asarray(x.astype(dtype.numpy).view(f"i{dtype.numpy.itemsize}"))


def of_bits(bits: Bits, dtype: DType) -> F64:
    """The numbers of bit patterns."""
    return np.asarray(bits.astype(f"i{dtype.numpy.itemsize}").view(dtype.numpy).astype(np.float64))


def _ulps(x: F64, others: F64, dtype: DType, generator: np.random.Generator) -> F64:
    """As many numbers of the format on, towards or away from 0."""
    step = int(generator.integers(1, 1 << int(generator.integers(1, dtype.p + 2))))
    return of_bits(bits_of(x, dtype) + np.asarray(generator.choice([-step, step])), dtype)


def _flipped(x: F64, others: F64, dtype: DType, generator: np.random.Generator) -> F64:
    """One bit flipped, but for the sign."""
    mask = 1 << int(generator.integers(8 * dtype.numpy.itemsize - 1))
    return of_bits(bits_of(x, dtype) ^ np.asarray(mask, f"i{dtype.numpy.itemsize}"), dtype)


def _scaled(x: F64, others: F64, dtype: DType, generator: np.random.Generator) -> F64:
    return np.ldexp(x, int(generator.choice([-1, 1])) * int(generator.geometric(0.4)))


def _nudged(x: F64, others: F64, dtype: DType, generator: np.random.Generator) -> F64:
    """Multiplied by numbers near 1, at a scale that is drawn."""
    return np.asarray(x * (1 + 2.0 ** -generator.uniform(0, dtype.p) * generator.standard_normal(x.shape)))


def _negated(x: F64, others: F64, dtype: DType, generator: np.random.Generator) -> F64:
    return -x


def _number(dtype: DType, generator: np.random.Generator) -> float:
    widest = generator.random() < 0.25
    low, high = (dtype.emin - dtype.p, dtype.emax) if widest else (-MAGNITUDES, MAGNITUDES)
    return float(generator.choice([-1.0, 1.0]) * 2.0 ** generator.uniform(max(low, -1021), high))


def _drawn(x: F64, others: F64, dtype: DType, generator: np.random.Generator) -> F64:
    return np.full(x.shape, _number(dtype, generator))


def _shifted(x: F64, others: F64, dtype: DType, generator: np.random.Generator) -> F64:
    """With a common offset."""
    return x + _number(dtype, generator)


def _copied(x: F64, others: F64, dtype: DType, generator: np.random.Generator) -> F64:
    """The number at another place, or its opposite."""
    return np.full(x.shape, generator.choice(others) * generator.choice([-1.0, 1.0]))


def _landmark(x: F64, others: F64, dtype: DType, generator: np.random.Generator) -> F64:
    """A border of the format, 0 or a small power of two, or the number next to it."""
    at = [0.0, 1.0, 0.5, 2.0, dtype.smallest_normal, 2.0 ** (dtype.emin - dtype.p + 1), dtype.largest, dtype.u]
    mark = bits_of(np.full(x.shape, generator.choice(at)), dtype)
    found = of_bits(np.maximum(mark + int(generator.integers(-1, 2)), 0), dtype)
    return np.asarray(found * generator.choice([-1.0, 1.0]))


MOVES: tuple[Callable[[F64, F64, DType, np.random.Generator], F64], ...] = (
    *(_ulps, _nudged, _scaled, _flipped, _drawn),
    *(_shifted, _copied, _landmark, _negated, _nudged, _scaled),
)
"""The moves of numbers, some twice: each takes the numbers, all that may be copied, the format and a generator."""
