"""What a block of examples accepts: several readings of the same numbers, compared.

*IEEE*, on the lower side of each kink, gives the exact numbers and the bound. *Other side* is read for the examples
with a kink whose side is undecided, *limit* (0·∞ = 0) where an input is not finite, *textbook* on either side where
squares inside a norm may underflow. Equal evaluations of the formula,
as written and its associations, conform as well, so the bound is the largest of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..dtypes import F64, DType
from ..readings.bound_derivatives import in_common
from ..readings.convention import IEEE, LIMIT, OTHER_SIDE, TEXTBOOK, TEXTBOOK_OTHER_SIDE
from ..readings.double_double import Wide
from ..readings.nonfinite import ALL_FINITE, Mask, NonFinite
from ..readings.overflow import Bounded
from .acceptance import Acceptance, Kink, accepted, concatenated
from .evaluate import Reading, Rows, Unseeded
from .rows import by_row

SQUARES_OVERFLOW = 2.0**500
"""Magnitudes from which sums of squares may overflow in float64."""
MOST_PLACES = 64
"""So many kinks of one example, each with two sides, are told apart; each takes a reading."""

Gradient = Mapping[str, Bounded]


@dataclass(frozen=True)
class Block:
    """What some rows of a batch accept.

    ``value`` ``[b, 1]`` is that of each example, ``gradients[reduction][input]`` ``[b, D]`` or ``[b, 1]``, or one row
    where all examples share the input; the rows of ``kinks[reduction]`` are counted in the whole batch.
    """

    value: Acceptance
    gradients: Mapping[str, Mapping[str, Acceptance]]
    kinks: Mapping[str, Kink | None]


@dataclass(frozen=True)
class _Compared:
    """The readings of a block that do not depend on the cotangent.

    ``other_sides`` are of the rows ``undecided``: every kink on its upper side, then, where a row has several, each
    place by itself.
    """

    ieee: Unseeded
    limit: Unseeded | None
    other_sides: Sequence[Unseeded]
    undecided: Rows
    textbook: Sequence[Unseeded]


def read_block(reading: Reading, leaves: Mapping[str, F64], seeds: Mapping[str, Bounded], start: int) -> Block:
    """What the examples of a block accept.

    ``leaves`` maps each input to its numbers, with every axis of the formula, ``seeds`` each reduction whose gradient
    is wanted to the cotangents ``[b, 1]``; ``start`` is the number of the block's first row in the batch. Where
    examples are coupled the block is the whole batch, and its gradient is not looked into where a side of a kink is
    undecided; nor is that of an example with more than :data:`MOST_PLACES` such kinks.
    """
    leaves = _extended(leaves, reading.dtype)
    ieee = reading.unseeded(leaves)
    finite = all(np.isfinite(array).all() for array in leaves.values())
    places = in_common(ieee.kinked, len(ieee.kinked[0]))
    many = np.count_nonzero(places, axis=1, keepdims=True)
    coupled = reading.plan.gradients.formula.coupled
    unknown = many > (0 if coupled else MOST_PLACES)
    undecided = np.flatnonzero((many > 0) & ~unknown)
    compared = _Compared(
        ieee,
        None if finite else reading.unseeded(leaves, LIMIT),
        _other_sides(reading, {k: _rows(x, undecided) for k, x in leaves.items()}, places[undecided]),
        undecided,
        _textbook(reading, leaves) if ieee.underflows else (),
    )
    value, shapes = _value(reading, compared), {name: array.shape for name, array in leaves.items()}
    nan, anything = _may_be_nan(value), value.also.anything_in_place()
    value = replace(value, also=value.also | _elsewhere(reading.values(ieee)))
    gradients, kinks = {}, {}
    for reduction, seed in seeds.items():
        found, kink = _gradient(reading, compared, seed, shapes)
        free = np.asarray(nan | np.isnan(seed.v.hi) | unknown)
        if coupled:
            free, anything = np.any(free, axis=0, keepdims=True), anything.of_a_sum()
        gradients[reduction] = {name: _beside_value(slope, free, anything) for name, slope in found.items()}
        kinks[reduction] = None if kink is None else replace(kink, rows=kink.rows + start)
    block = Block(value, gradients, kinks)
    return block if reading.textbook is None else _or_form(block, read_block(reading.textbook, leaves, seeds, start))


def _or_form(block: Block, form: Block) -> Block:
    """What a block accepts, and what it accepts in another form of the loss."""
    gradients = {
        reduction: {name: replace(slope, form=form.gradients[reduction][name]) for name, slope in slopes.items()}
        for reduction, slopes in block.gradients.items()
    }
    return replace(block, value=replace(block.value, form=form.value), gradients=gradients)


def _other_sides(reading: Reading, leaves: Mapping[str, F64], places: Mask) -> list[Unseeded]:
    """The readings of rows with undecided ``places`` ``[k, M]`` on the other sides of their kinks."""
    if not len(places):
        return []
    most, nth = int(places.sum(axis=1).max()), np.cumsum(places, axis=1)
    single = [reading.unseeded(leaves, IEEE, places & (nth == n)) for n in range(1, most + 1)] if most > 1 else []
    return [reading.unseeded(leaves, OTHER_SIDE), *single]


def _textbook(reading: Reading, leaves: Mapping[str, F64]) -> list[Unseeded]:
    """The reading by the textbook; on both sides of the kinks where it leaves one undecided."""
    lower = reading.unseeded(leaves, TEXTBOOK)
    if not any(kinked.any() for kinked in lower.kinked):
        return [lower]
    return [lower, reading.unseeded(leaves, TEXTBOOK_OTHER_SIDE)]


def _extended(leaves: Mapping[str, F64], dtype: DType) -> Mapping[str, F64]:
    """Float64 inputs whose squares overflow, with the exponents of long double.

    The narrower formats are read in float64, where a finite result is found although an intermediate overflows
    in the format. On machines whose long double is a double, only what IEEE arithmetic gives is found.
    """
    largest = max(float(np.max(np.abs(array), where=np.isfinite(array), initial=0.0)) for array in leaves.values())
    if dtype.p != 53 or largest < SQUARES_OVERFLOW:
        return leaves
    return {name: array.astype(np.longdouble) for name, array in leaves.items()}


def _value(reading: Reading, compared: _Compared) -> Acceptance:
    shape = (len(compared.ieee.kinked[0]), 1)

    def read(unseeded: Unseeded) -> Bounded:
        return _broadcast(_largest(reading.values(unseeded)), shape)

    value = accepted(read(compared.ieee), None if compared.limit is None else read(compared.limit))
    if value.limit is not None and compared.limit is not None:
        value = replace(value, limit=replace(value.limit, terms=reading.terms(compared.limit)))
    textbook = [replace(accepted(read(one), None), terms=reading.terms(one)) for one in compared.textbook]
    return _or_textbook(replace(value, terms=reading.terms(compared.ieee)), textbook)


def _or_textbook(x: Acceptance, parts: Sequence[Acceptance]) -> Acceptance:
    """What a number accepts, and what it is by the textbook, in any of several readings."""
    found = None
    for part in reversed(parts):
        found = replace(part, textbook=found)
    return x if found is None else replace(x, textbook=found)


def _gradient(
    reading: Reading, compared: _Compared, seed: Bounded, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Acceptance], Kink | None]:
    """What the gradient by each input accepts under one cotangent, and its undecided rows, counted in the block."""
    ieee = [_shaped(slopes, shapes) for slopes in reading.gradients(compared.ieee, seed)]
    limit: Gradient = {}
    if compared.limit is not None:
        limit = _shaped(reading.gradients(compared.limit, seed)[0], shapes)
    found = _together(ieee)
    kink = None
    if compared.other_sides:
        rows = compared.undecided
        there = {name: (len(rows), *shape[1:]) for name, shape in shapes.items()}
        others = [
            [_shaped(slopes, there) for slopes in reading.gradients(side, take(seed, rows))]
            for side in compared.other_sides
        ]
        every = [slopes for other in others for slopes in other]
        found = {name: _covering(part, rows, [slopes[name] for slopes in every]) for name, part in found.items()}
        kink = _kink(compared, ieee, others[1:] or others)
    textbook = [
        _together([_shaped(slopes, shapes) for slopes in reading.gradients(one, seed)]) for one in compared.textbook
    ]
    return {
        name: _or_textbook(accepted(part, limit.get(name)), [accepted(slopes[name], None) for slopes in textbook])
        for name, part in found.items()
    }, kink


def _together(evaluations: Sequence[Gradient]) -> Gradient:
    """What the gradient is by several equal evaluations."""
    found = {}
    for name in evaluations[0]:
        parts = [slopes[name] for slopes in evaluations]
        largest = _largest(parts)
        found[name] = replace(largest, also=largest.also | _elsewhere(parts))
    return found


def _elsewhere(parts: Sequence[Bounded]) -> NonFinite:
    """What equal evaluations but the first give that is not finite: exp(-γ·∞) at γ = 0 is NaN."""
    found = ALL_FINITE
    for other in parts[1:]:
        if not np.isfinite(other.v.hi).all():
            found |= NonFinite.in_numbers(other.v.hi)
    return found


def _kink(compared: _Compared, ieee: Sequence[Gradient], others: Sequence[Sequence[Gradient]]) -> Kink:
    """The ends of the gradient in the undecided rows, from the first evaluation that is undecided there."""
    rows = compared.undecided
    first = np.argmax(np.stack([kinked[rows].any(axis=1) for kinked in compared.ieee.kinked]), axis=0)
    each = np.arange(len(rows))

    def ends(numbers: Sequence[F64]) -> F64:
        return np.asarray(np.stack(numbers)[first, each], np.float64)

    at_zero = {name: ends([slopes[name].v.hi[rows] for slopes in ieee]) for name in ieee[0]}
    at_one = {name: np.stack([ends([slopes[name].v.hi for slopes in other]) for other in others]) for name in ieee[0]}
    return Kink(rows, at_zero, at_one)


def _beside_value(slope: Acceptance, nan: Mask, anything: NonFinite) -> Acceptance:
    """A gradient, unspecified where it is NaN or the value may be, and with any outcome where the value may overflow.

    ``nan`` and ``anything`` ``[b, 1]`` are those of the value; a mean of nothing is NaN, too.
    """
    unspecified = _is_nan(slope) | nan
    also = slope.also | anything.map(lambda bits: np.broadcast_to(bits, slope.shape))
    return replace(slope, also=also, unspecified=unspecified if unspecified.any() else None)


def _is_nan(x: Acceptance) -> Mask:
    """Where every convention gives NaN."""
    nan = np.isnan(x.exact)
    return nan if x.limit is None else nan & np.isnan(x.limit.exact)


def _may_be_nan(x: Acceptance) -> Mask:
    """Where every convention gives NaN, or an overflow may."""
    overflown = x.also.may_be_nan()
    return _is_nan(x) if overflown is None else _is_nan(x) | overflown


def take(x: Bounded, rows: Rows | slice) -> Bounded:
    """Some rows of numbers that have no outcomes beside their bound, as cotangents."""
    return Bounded(Wide(x.v.hi[rows], None if x.v.lo is None else x.v.lo[rows]), x.e[rows])


def _rows(leaf: F64, rows: Rows) -> F64:
    """Some rows of a leaf; what all examples share has one."""
    return leaf if len(leaf) == 1 else leaf[rows]


def _shaped(slopes: Gradient, shapes: Mapping[str, tuple[int, ...]]) -> Gradient:
    return {name: by_row(_broadcast(slope, shapes[name])) for name, slope in slopes.items()}


def _broadcast(x: Bounded, shape: tuple[int, ...]) -> Bounded:
    low = None if x.v.lo is None else np.broadcast_to(x.v.lo, shape)
    also = x.also.map(lambda bits: np.broadcast_to(bits, shape))
    return Bounded(Wide(np.broadcast_to(x.v.hi, shape), low), np.broadcast_to(x.e, shape), also)


def _largest(parts: Sequence[Bounded]) -> Bounded:
    """Of several equal evaluations the values of the first, the largest error and every outcome."""
    e, also = parts[0].e, parts[0].also
    for other in parts[1:]:
        e, also = np.maximum(e, other.e), also | other.also
    return Bounded(parts[0].v, e, also)


def _covering(part: Bounded, rows: Rows, sides: Sequence[Bounded]) -> Bounded:
    """At the undecided rows the error must cover that on the other side of the kink too."""
    e = part.e.copy()
    e[rows] = np.maximum(e[rows], np.maximum.reduce([side.e for side in sides]))
    return replace(part, e=e)


def joined(blocks: Sequence[Block], shapes: Mapping[str, tuple[int, ...]]) -> Block:
    """Blocks one after the other as the whole batch, gradients in the shapes of their inputs."""
    gradients = {
        reduction: {
            name: concatenated([block.gradients[reduction][name] for block in blocks]).reshape(shape)
            for name, shape in shapes.items()
        }
        for reduction in blocks[0].gradients
    }
    kinks = {reduction: _joined_kinks([block.kinks[reduction] for block in blocks], shapes) for reduction in gradients}
    return Block(concatenated([block.value for block in blocks]), gradients, kinks)


def _joined_kinks(parts: Sequence[Kink | None], shapes: Mapping[str, tuple[int, ...]]) -> Kink | None:
    found = [part for part in parts if part is not None]
    if not found:
        return None
    rows = np.concatenate([part.rows for part in found])
    most = max(part.places for part in found)
    zero = {name: np.concatenate([part.at_zero[name] for part in found]) for name in shapes}
    one = {name: np.concatenate([part.ends(name, most) for part in found], axis=1) for name in shapes}
    zero = {name: array.reshape(len(rows), *shapes[name][1:]) for name, array in zero.items()}
    return Kink(rows, zero, {name: array.reshape(most, *zero[name].shape) for name, array in one.items()})
