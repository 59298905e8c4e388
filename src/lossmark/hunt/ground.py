"""Where a hunt begins: golden cases that share their parameters and sizes, so that one call may hold rows of them all.

Where examples do not depend on one another a candidate is one example, and its case has a batch of one; where they do
it is a whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..formula.tree import BATCH
from ..specification import hexfloat as numbers
from ..specification.case import Case, Param
from ..specification.loss import Loss

MOST_GROUNDS = 8
"""How many grounds a hunt has at most; those with most cases are kept."""
WIDEST = 129
"""The longest axis beside the batch, and the largest batch of examples that depend on each other."""
PARAMETER_FACTORS = (0.5, 2.0, 0.125)
"""What parameters are multiplied by, each for a ground of its own."""


@dataclass(frozen=True)
class Ground:
    """Candidates with the same parameters and sizes, of the golden cases."""

    starts: tuple[Case, ...]


def grounds(loss: Loss, dtype: str, *, alike: bool) -> list[Ground]:
    """The grounds of a loss in a dtype, those with most candidates first; one with the defaults if all are ``alike``.

    Those of other parameters come after them.
    """
    found: dict[tuple[object, ...], list[Case]] = {}
    for case in loss.golden(dtype):
        if _may_start(case):
            for candidate in candidates(loss, case):
                found.setdefault(_key(candidate), []).append(candidate)
    ordered = sorted((Ground(tuple(cases)) for cases in found.values()), key=lambda ground: -len(ground.starts))
    plain = [ground for ground in ordered if not ground.starts[0].params]
    if alike:
        return (plain or ordered)[:1]
    varied = [_with(ground, name, x) for ground in plain[:1] for name, x in _variations(loss)]
    return [*ordered[: MOST_GROUNDS - len(varied)], *varied][:MOST_GROUNDS]


def candidates(loss: Loss, case: Case) -> Iterator[Case]:
    """A case as candidates: its examples one by one, or itself where they depend on one another."""
    bare = replace(case, flags=(), why="", golden=None, repeats=None, few=None, counts={})
    if loss.coupled:
        yield bare
        return
    for row in range(case.batch):
        yield replace(bare, inputs=bare.with_rows(lambda array, row=row: array[row : row + 1]))  # type: ignore[misc]


def together(cases: Sequence[Case]) -> Case:
    """Candidates of one ground as one batch."""
    one = cases[0]
    inputs = {
        name: np.concatenate([case.inputs[name] for case in cases]) if one.by_example(name) else array
        for name, array in one.inputs.items()
    }
    return replace(one, inputs=inputs)


def _key(case: Case) -> tuple[object, ...]:
    shared = tuple(sorted((name, array.tobytes()) for name, array in case.inputs.items() if name in _fixed(case)))
    return repr(sorted(case.params.items())), tuple(sorted(case.sizes.items())), case.absent, shared


def _fixed(case: Case) -> set[str]:
    """What all examples share of a candidate that is one example, so that it cannot be moved."""
    return {name for name in case.inputs if case.batch == 1 and not case.by_example(name)}


def _may_start(case: Case) -> bool:
    finite = all(np.isfinite(array).all() for array in case.inputs.values())
    wide = [size for axis, size in case.sizes.items() if axis != BATCH]
    return finite and case.batch > 0 and max([*wide, 1]) <= WIDEST and case.batch <= WIDEST


def _variations(loss: Loss) -> Iterator[tuple[str, Param]]:
    for factor in PARAMETER_FACTORS:
        for name, param in loss.model.params.items():
            if param.choices is None and name not in loss.integers:
                default, least = numbers.parse(param.default), param.at_least
                value = factor * (default or 1.0)
                within = value <= 1 if default == 0 else least is None or value >= numbers.parse(least)
                if within:  # what is 0 by default is a share, as a rule
                    yield name, value


def _with(ground: Ground, name: str, value: Param) -> Ground:
    return Ground(tuple(replace(case, params={**case.params, name: value}) for case in ground.starts))
