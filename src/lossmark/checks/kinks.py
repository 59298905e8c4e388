"""Which slopes an implementation has chosen at its kinks: one λ in [0, 1] for each place of an example that kinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..dtypes import F64, DType
from ..tolerance.acceptance import Acceptance, Kink

CLOSE = 2.0**-20
"""How much of a bound the search for several slopes at once may miss."""
FINE = 2.0**-40
"""What the search for slopes of float64 may lose of the magnitudes that meet."""
SUMMED = 2.0**-51
"""What adding up several slopes in float64 may lose of the magnitudes that meet."""
Got = Mapping[str, NDArray[np.generic]]


def explain(
    got: Got, accepted: Mapping[str, Acceptance], kink: Kink, dtype: DType
) -> tuple[NDArray[np.bool_], str, F64]:
    """Which of the ``k`` kinked rows some slopes explain, a note on those, and the slopes ``[P, k]``.

    Slopes within the bound are looked for first. Any but 0 and 1 rounds a product more, and has room for that. Numbers
    that are not finite, and those in the place of which any conforms, tell no slope.
    """
    got = {name: _telling(got[name], part) for name, part in accepted.items()}
    moving = moves(kink)
    low, high = _intervals(got, accepted, kink, 0.0)
    fits = np.all(low <= high * (1 + FINE), axis=0)
    members = np.where(moving, _chosen(low, high), 0.0)
    if not fits.all():
        other, roomy = ~fits, _intervals(got, accepted, kink, dtype.u + FINE)
        low, high = np.where(other, roomy[0], low), np.where(other, roomy[1], high)
        fits |= np.all(low <= high * (1 + FINE), axis=0)
        members = np.where(other & moving, _chosen(low, high), members)
    if kink.places > 1:
        masses = {name: _mass(kink, name) for name in accepted}
        for row in np.flatnonzero(np.count_nonzero(moving, axis=0) > 1):
            fits[row], members[:, row] = _solved(got, accepted, kink, masses, dtype, int(row), members[:, row])
    told = fits & (high - low < 1)  # where both slopes are the same, nothing was chosen
    exact = [f"{value:g}" for value in sorted({float(round(m, 3)) for m in members[told]})]
    note = f"slope chosen at the kink: {', '.join(exact[:3])}{'…' if len(exact) > 3 else ''}" if exact else ""
    return fits, note, members


def member(part: Acceptance, kink: Kink, members: F64, name: str, dtype: DType) -> Acceptance:
    """The acceptance with the kinked rows at the slopes ``members`` ``[P, k]`` that were chosen."""
    zero = kink.at_zero[name]
    weights = members.reshape(*members.shape, *([1] * (zero.ndim - 1)))
    exact, bound = part.exact.copy(), part.bound.copy()
    with np.errstate(invalid="ignore", over="ignore"):
        first = kink.at_one[name][0]
        chosen = (1 - weights[0]) * zero + weights[0] * first
        for weight, one in zip(weights[1:], kink.at_one[name][1:], strict=True):
            chosen = chosen + np.where(weight == 0, 0.0, weight * (one - zero))
        mass = _mass(kink, name)
        between = np.any((weights != 0) & (weights != 1), axis=0)
        several = np.count_nonzero(weights, axis=0) > 1
        slack = np.where(between, (dtype.u + FINE) * mass + CLOSE * bound[kink.rows], 0.0)
        slack = np.maximum(slack, np.where(several, SUMMED * mass, 0.0))
    exact[kink.rows] = chosen
    bound[kink.rows] = bound[kink.rows] + np.where(np.isfinite(slack), slack, 0.0)
    low = None
    if part.exact_low is not None:
        low = part.exact_low.copy()
        low[kink.rows] = np.where(np.all(weights == 0, axis=0), low[kink.rows], 0.0)
    return replace(part, exact=exact, exact_low=low, bound=bound)


def room(kink: Kink, name: str, bound: F64, several: NDArray[np.bool_], dtype: DType) -> F64:
    """The error ``[k, …]`` that conforms between the sides of the kinks, where at their ends it is ``bound``.

    ``several`` ``[k]`` marks the rows of which more than one place moves elements.
    """
    mass = _mass(kink, name)
    summed = np.where(several.reshape(-1, *[1] * (mass.ndim - 1)), SUMMED * mass, 0.0)
    return np.asarray(np.maximum(bound, summed) + (dtype.u + FINE) * mass)


def _mass(kink: Kink, name: str) -> F64:
    """The magnitudes ``[k, …]`` that meet in a gradient: with every place on its lower side, and what each adds."""
    zero = kink.at_zero[name]
    return np.asarray(np.abs(zero) + sum(np.abs(one - zero) for one in kink.at_one[name]))


def _chosen(low: F64, high: F64) -> F64:
    """The slope in each interval: an end of [0, 1] where only that is inside, else the middle."""
    middle = np.clip((low + high) / 2, 0, 1)
    return np.where((low > 0) & (high >= 1), 1.0, np.where((low <= 0) & (high < 1), 0.0, middle))


def _intervals(got: Got, accepted: Mapping[str, Acceptance], kink: Kink, relative: float) -> tuple[F64, F64]:
    """For each place ``[P, k]`` the λ that fit every element that this place alone moves.

    The room is the bound, and ``relative`` of the magnitudes that meet there.
    """
    shape = kink.places, len(kink.rows)
    low, high = np.zeros(shape), np.ones(shape)
    with np.errstate(all="ignore"):
        for name, part in accepted.items():
            zero, one = kink.at_zero[name].reshape(shape[1], -1), kink.at_one[name].reshape(*shape, -1)
            x = got[name][kink.rows].astype(np.float64).reshape(zero.shape)
            e = part.bound[kink.rows].reshape(zero.shape) + relative * _mass(kink, name).reshape(zero.shape)
            span = one - zero
            alone = np.count_nonzero(span, axis=0) == 1
            ends = np.sort(np.stack([(x - e - zero) / span, (x + e - zero) / span]), axis=0)
            free = ~alone | (span == 0) | ~np.isfinite(span) | np.isinf(e) | ~np.isfinite(x)
            low = np.maximum(low, np.max(np.where(free, -np.inf, ends[0]), axis=2, initial=-np.inf))
            high = np.minimum(high, np.min(np.where(free, np.inf, ends[1]), axis=2, initial=np.inf))
    return low, high


def _telling(x: NDArray[np.generic], part: Acceptance) -> F64:
    """The numbers, NaN in the place of those for which any other conforms as well."""
    numbers = np.asarray(x, np.float64)
    return numbers if part.unspecified is None else np.where(part.unspecified, np.nan, numbers)


def moves(kink: Kink) -> NDArray[np.bool_]:
    """Which places ``[P, k]`` change any gradient."""
    found = np.zeros((kink.places, len(kink.rows)), bool)
    for name, one in kink.at_one.items():
        found |= (one != kink.at_zero[name]).reshape(*found.shape, -1).any(axis=2)
    return found


def separate(kink: Kink) -> bool:
    """Whether no row has two elements, of any input, that more than one place moves, nor one that is not finite.

    Then slopes are found without a search: those of each place from the elements that it moves alone.
    """
    joint = np.zeros(len(kink.rows))
    for name, one in kink.at_one.items():
        lower = kink.at_zero[name].reshape(len(kink.rows), -1)
        upper = one.reshape(kink.places, *lower.shape)
        if not np.isfinite(upper[upper != lower]).all() or not np.isfinite(lower[(upper != lower).any(axis=0)]).all():
            return False
        joint += np.count_nonzero(np.count_nonzero(upper != lower, axis=0) > 1, axis=1)
    return bool((joint <= 1).all())


def _solved(
    got: Got,
    accepted: Mapping[str, Acceptance],
    kink: Kink,
    masses: Mapping[str, F64],
    dtype: DType,
    row: int,
    guess: F64,
) -> tuple[bool, F64]:
    """Slopes of one row with several places that fit all of its elements: those guessed, or of a linear program."""
    spans, away, room, most = [], [], [], []
    for name, part in accepted.items():
        zero = kink.at_zero[name][row].reshape(-1)
        spans.append(kink.at_one[name][:, row].reshape(kink.places, -1) - zero)
        away.append(np.asarray(got[name][kink.rows[row]], np.float64).reshape(-1) - zero)
        room.append(part.bound[kink.rows[row]].reshape(-1))
        most.append(masses[name][row].reshape(-1))
    span, distance, bound, mass = np.concatenate(spans, axis=1), *map(np.concatenate, (away, room, most))
    use = np.isfinite(span).all(axis=0) & np.isfinite(distance) & np.isfinite(bound) & (span != 0).any(axis=0)
    a, b, mass = span[:, use].T, distance[use], mass[use]
    scale = np.maximum(bound[use], SUMMED * mass)
    ends = np.round(guess)
    if np.all(np.abs(a @ ends - b) <= scale):
        return True, ends
    scale = scale + (dtype.u + FINE) * mass
    if np.all(np.abs(a @ guess - b) <= scale):
        return True, guess
    return _nearest_slopes(a / scale[:, None], b / scale, guess)


def _nearest_slopes(a: F64, b: F64, guess: F64) -> tuple[bool, F64]:
    """The slopes λ in [0, 1] for which the largest of |aλ - b| is least, and whether that is at most 1."""
    from scipy.optimize import linprog  # which is slow to import, and seldom needed

    ones = np.ones((len(b), 1))
    found = linprog(
        np.append(np.zeros(len(guess)), 1.0),
        A_ub=np.block([[a, -ones], [-a, -ones]]),
        b_ub=np.concatenate([b, -b]),
        bounds=[*[(0.0, 1.0)] * len(guess), (0.0, None)],
    )
    return (bool(found.x[-1] <= 1 + CLOSE), found.x[:-1]) if found.success else (False, guess)
