"""What a wrong result looks like: a factor, a call that was made otherwise, or a known mutant of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..checks.judgement import judge, slopes
from ..dtypes import F64
from ..errors import LossmarkError
from ..sharpness.likeness import NEAR, formulas, simply
from ..specification.case import Case, left_out
from ..specification.loss import Loss
from ..tolerance.expected import count_of
from ..tolerance.in_parts import InParts
from .judged import VALUE, CameBack, PartFinding
from .trial import RowNumbers, Trial

LOOKED_AT = 64
"""Of so many rows a wrong result is looked into."""
LARGEST_SCENE = 1 << 16
"""So many numbers, at most, are read anew for each lookalike where rows cannot be taken by themselves."""


class Otherwise(NamedTuple):
    """Another call: how it is told, the loss and the rows."""

    words: str
    loss: Loss
    case: Case


class Scene(NamedTuple):
    """Where a wrong result is looked into: some rows of the batch, and what came back of them."""

    rows: RowNumbers
    case: Case
    got: CameBack


def scene(trial: Trial, results: CameBack, wrong: PartFinding) -> Scene | None:
    """Rows about the worst element; all, where one cannot go without the others; None where those are too many."""
    given = trial.given
    every = np.arange(given.batch) if trial.rows is None else trial.rows
    whole = given.loss.coupled or wrong.rows is None
    if not given.batch:
        return None
    if whole and (trial.rows is not None or given.size > LARGEST_SCENE):
        return None
    if whole or wrong.rows is None:
        rows = every
    else:
        width = max(1, given.size // given.batch)
        worst = wrong.judgement.worst
        place = worst.index[0] if worst is not None and worst.index else 0
        few = max(1, min(LOOKED_AT, LARGEST_SCENE // width))
        start = max(0, min(place - few // 2, len(wrong.rows) - few))
        rows = wrong.rows[start : start + few]
    case = given.part(rows)
    value = results.value[rows] if trial.reduction == "none" else results.value
    grads = {name: array[rows] if case.by_example(name) else array for name, array in results.grads.items()}
    return Scene(rows, case, replace(results, value=value, grads=grads))


def looks_like(trial: Trial, wrong: PartFinding, seen: Scene | None) -> str:
    """What the wrong result looks like, in words; empty where nothing known gives it."""
    if seen is not None:
        for other in _others(trial, seen.case):
            if _explains(trial, wrong, seen, other):
                return other.words
    worst = wrong.judgement.worst
    if worst is None or abs(worst.got - worst.expected) <= worst.bound:
        return ""
    factor = None if seen is None else _factor(trial, wrong, seen)
    if seen is not None and factor is None and np.isfinite(worst.got) and worst.got != 0:
        return ""
    times = f"the right result times {factor:.4g}" if factor else ""
    return next(simply(worst.got, worst.expected, _sizes(trial)), times)


def _others(trial: Trial, case: Case) -> Iterator[Otherwise]:
    """The same rows called otherwise, the simplest first, and held to mutants of the formula."""
    loss = trial.given.loss
    defaults = loss.params({})
    for name, value in case.params.items():
        if value != defaults[name]:
            rest = {other: x for other, x in case.params.items() if other != name}
            yield Otherwise(f"{name} left at its default, {defaults[name]!r}", loss, replace(case, params=rest))
    for item in loss.inputs:
        if item.optional is not None and item.name not in case.absent:
            inputs = {**case.inputs, item.name: left_out(item, case.sizes)}
            yield Otherwise(f"{item.name} left out", loss, replace(case, inputs=inputs))
    items = [item for item in loss.inputs if not item.label]
    for place, item in enumerate(items):
        for other in items[place + 1 :]:
            if item.dims == other.dims:
                inputs = {**case.inputs, item.name: case.inputs[other.name], other.name: case.inputs[item.name]}
                yield Otherwise(f"{item.name} and {other.name} exchanged", loss, replace(case, inputs=inputs))
    for name, why, mutant in formulas(loss.id):
        yield Otherwise(f"{why} (the mutant {name})", mutant, case)


def _explains(trial: Trial, wrong: PartFinding, seen: Scene, other: Otherwise) -> bool:
    """Whether another call gives every number that is seen."""
    names = () if wrong.kind == VALUE else tuple(seen.got.grads)
    try:
        how = _reading(trial, wrong, other, names)
        weights = trial.cotangent[seen.rows] if trial.reduction == "none" else np.ones(len(seen.rows))
        part = how.read(other.case, weights)
    except (LossmarkError, ArithmeticError, KeyError):  # a mutant without a gradient by one of them
        return False
    if wrong.kind == VALUE:
        accepted = replace(trial, rows=None).value(how, [part.example])
        return accepted is not None and judge(seen.got.value, accepted, wrong.dtype, "").ok
    accepted_slopes = part.truth.gradients[trial.reduction]
    return slopes(seen.got.grads, accepted_slopes, part.truth.kinks[trial.reduction], wrong.dtype, "").ok


def _reading(trial: Trial, wrong: PartFinding, other: Otherwise, names: tuple[str, ...]) -> InParts:
    """How the other call is read, whose mean may divide by something else."""
    given, case = trial.given, other.case
    shared = {name: array for name, array in case.inputs.items() if not case.by_example(name)}
    count = count_of(given.loss, case.params, given.labels() | shared, given.batch, wrong.dtype)
    return replace(trial.reading(wrong.dtype, names), loss=other.loss, params=case.params, count=count)


def _factor(trial: Trial, wrong: PartFinding, seen: Scene) -> float | None:
    """What every number that is seen is a multiple by, about; None where there is no such number."""
    how = trial.reading(wrong.dtype, () if wrong.kind == VALUE else tuple(seen.got.grads))
    weights = trial.cotangent[seen.rows] if trial.reduction == "none" else np.ones(len(seen.rows))
    part = how.read(seen.case, weights)
    pairs: list[tuple[F64, F64, F64]] = []
    if wrong.kind == VALUE:
        accepted = replace(trial, rows=None).value(how, [part.example])
        if accepted is not None:
            pairs.append((seen.got.value.astype(np.float64), accepted.exact, accepted.bound))
    else:
        for name, array in seen.got.grads.items():
            slope = part.truth.gradients[trial.reduction][name]
            pairs.append((array.astype(np.float64), slope.exact, slope.bound))
    got, exact, bound = (np.concatenate([each[place].ravel() for each in pairs]) for place in range(3))
    with np.errstate(all="ignore"):
        ratios = (got / exact)[(exact != 0) & np.isfinite(got)]
        factor = float(np.median(ratios)) if ratios.size else 0.0
        fits = np.abs(got - factor * exact) <= np.abs(factor) * (bound + NEAR * np.abs(exact))
    return factor if factor and np.isfinite(factor) and fits.all() else None


def _sizes(trial: Trial) -> list[tuple[float, str]]:
    """Factors that come of dividing by another number than the one that is meant, and their words."""
    given = trial.given
    count = float(trial.reading(given.dtype, ()).count.v.hi[0, 0]) if trial.reduction == "mean" else given.batch
    found = []
    if count > 2:
        found += [(count, "the sum where the mean is meant"), (1 / count, "the mean where the sum is meant")]
    if count != given.batch and count:
        found.append((count / given.batch, "the mean over all rows: those that do not count are counted"))
    beside = {axis: size for axis, size in given.sizes.items() if axis in given.loss.axes[1:] and size > 2}
    for axis, size in beside.items():
        found.append((1 / size, f"the mean over {axis} too, which is {size} long"))
    return found
