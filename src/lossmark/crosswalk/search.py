"""The search for a mapping: the simplest combination of transformations under which a function is a spec."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import SpecError
from ..specification.case import Case
from .comparison import CaseVerdict, Comparison
from .mapped import Mapped
from .transformations import Transformation, transformations

MOST_COMBINED = 3
"""So many transformations are combined at most, beside a guard and what a call leaves no choice about."""
LEAST_TOLD = 0.25
"""The share of the cases that a function answers at best which a mapping must be near in to be one at all."""
GUARD_SLOT = "guard"
"""The slot of what shows at edges or in the last digits alone: it is tried on what is near already."""
Combination = tuple[Transformation, ...]


@dataclass(frozen=True)
class Found:
    """The mapping that was found, after how many were ``tried``; ``conforms``: on all ordinary cases.

    Where nothing comes near, ``mapped`` is the one that failed last, and ``failed_on`` the case.
    """

    mapped: Mapped
    tried: int
    conforms: bool
    failed_on: str = ""


def search(comparison: Comparison) -> Found | None:
    """The simplest mapping under which most cases conform, all if any does that; None where no call can be made."""
    cases = comparison.cases()
    ordinary = [case for case in cases if _ordinary(case)]
    slots = transformations(comparison.loss, comparison.taken)
    guards: list[Combination] = [(), *((guard,) for guard in slots.pop(GUARD_SLOT, []))]
    untold = _untold(comparison, cases)
    least = LEAST_TOLD * _most_answered(comparison, slots, ordinary)
    tried, reached, furthest = 0, -1, None
    best: tuple[tuple[int, ...], Mapped] | None = None
    limit = MOST_COMBINED
    for size, chosen in _combinations(slots):
        if size > limit:
            break
        mapped = _mapped(comparison, chosen)
        if mapped is None:
            continue
        tried += 1
        depth, far = _near(comparison, mapped, ordinary)
        if far is not None and depth > reached and _answered(comparison, mapped, ordinary) >= least:
            reached, furthest = depth, Found(mapped, 0, conforms=False, failed_on=far.id)
        if far is not None or depth < least:
            continue
        for guard in guards:
            guarded = _mapped(comparison, (*chosen, *guard)) if guard else mapped
            tried += bool(guard)
            if guarded is None:
                continue
            rank = (*_conforming(comparison, guarded, ordinary), *_conforming(comparison, guarded, cases))
            if best is None or rank > best[0]:
                best = rank, guarded
            if rank[2] >= len(cases) - untold and not any(_failures(comparison, guarded, cases)):
                return Found(guarded, tried, conforms=True)
        if best is not None and not _failures(comparison, best[1], ordinary)[0]:
            limit = min(limit, size + 1)
    if best is not None:
        return Found(best[1], tried, conforms=not any(_failures(comparison, best[1], ordinary)))
    return None if furthest is None else replace(furthest, tried=tried)


def _combinations(slots: Mapping[str, Sequence[Transformation]]) -> Iterator[tuple[int, Combination]]:
    """Every choice of at most one transformation per slot, by how many are chosen freely.

    A label that the call does not take has a value in any case.
    """
    forced = [choices for choices in slots.values() if choices[0].labels]
    free = [choices for choices in slots.values() if not choices[0].labels]
    for size in range(MOST_COMBINED + 1):
        for some in itertools.combinations(free, size):
            for chosen in itertools.product(*forced, *some):
                yield size, chosen


def _mapped(comparison: Comparison, chosen: Combination) -> Mapped | None:
    """The loss under the transformations; None where these do not go together."""
    try:
        return comparison.mapped(*chosen)
    except SpecError:
        return None


def _ordinary(case: Case) -> bool:
    """Whether a case has ordinary numbers alone."""
    return case.case_class != "adversarial" and all(np.isfinite(array).all() for array in case.inputs.values())


def _most_answered(
    comparison: Comparison, slots: Mapping[str, Sequence[Transformation]], ordinary: Sequence[Case]
) -> int:
    """The most ordinary cases that the function answers, however labels are handed over to it."""
    labels = {slot: choices for slot, choices in slots.items() if choices[0].labels or choices[0].handed}
    found = (_mapped(comparison, chosen) for size, chosen in _combinations(labels) if size < MOST_COMBINED)
    return max((_answered(comparison, each, ordinary) for each in found if each is not None), default=0)


def _answered(comparison: Comparison, mapped: Mapped, ordinary: Sequence[Case]) -> int:
    """How many ordinary cases the function answers under a mapping."""
    return sum(comparison.answers(mapped, case) for case in ordinary)


def _near(comparison: Comparison, mapped: Mapped, ordinary: Sequence[Case]) -> tuple[int, Case | None]:
    """How many ordinary cases are near, one by one, and the first that is not; what has no value is neither."""
    depth = 0
    for case in ordinary:
        near = comparison.near(mapped, case)
        if near is False:
            return depth, case
        depth += near is True
    return depth, None


def _failures(comparison: Comparison, mapped: Mapped, cases: Sequence[Case]) -> tuple[int, int]:
    """In how many cases the value, and in how many the gradients, are wrong; what is refused is not."""
    found = verdicts(comparison, mapped, cases)
    values = sum(each.value is not None and not each.value.ok for each in found)
    return values, sum(each.gradients is not None and not each.gradients.ok for each in found)


def _untold(comparison: Comparison, cases: Sequence[Case]) -> int:
    """Of how many cases nothing can be said without any transformation: no call can be made, or a bound is too wide."""
    forced = [
        choices[0] for choices in transformations(comparison.loss, comparison.taken).values() if choices[0].labels
    ]
    found = verdicts(comparison, comparison.mapped(*forced), cases)
    return len(cases) - sum(each.value is not None for each in found)


def _conforming(comparison: Comparison, mapped: Mapped, cases: Sequence[Case]) -> tuple[int, int]:
    """In how many cases the value, and in how many the gradients, conform.

    By this a mapping is better than another, for one that leaves cases out has fewer that fail, too.
    """
    found = verdicts(comparison, mapped, cases)
    values = sum(each.value is not None and each.value.ok for each in found)
    return values, sum(each.gradients is not None and each.gradients.ok for each in found)


def verdicts(comparison: Comparison, mapped: Mapped, cases: Sequence[Case]) -> list[CaseVerdict]:
    """The verdicts of the cases that the call can be made for."""
    found = (comparison.verdict(mapped, case) for case in cases)
    return [each for each in found if each is not None]
