"""The statistic of a comparison: pairs of times taken one right after the other, and the ratio that they support.

Each pair is two blocks in random order, on one processor that is drawn anew for each pair; a time is the least of a few
blocks, because neighbours only ever add to it.
The median of the log-ratios has a bootstrap interval (percentile, as in Efron & Tibshirani, An Introduction to the
Bootstrap, ch. 13): of the intervals tried it is the one that keeps its level on a noisy machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

CONFIDENCE = 0.99
THRESHOLD = 1.05
"""A ratio that matters: 5 %."""
LEAST_PAIRS = 20
"""Pairs below which nothing is decided."""

RatioVerdict = Literal["slower", "not slower", "undecided"]


@dataclass(frozen=True)
class Ratio:
    """The time of B over that of A: median, and the ends of its 99 % interval."""

    median: float
    low: float
    high: float
    pairs: int

    @property
    def verdict(self) -> RatioVerdict:
        """``slower`` if the whole interval lies above the threshold, ``not slower`` if below, else ``undecided``."""
        if self.pairs < LEAST_PAIRS:
            return "undecided"
        return "slower" if self.low > THRESHOLD else "not slower" if self.high < THRESHOLD else "undecided"


def ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """The ratio that pairs of times (A, B) in seconds support; raises ValueError for fewer than two."""
    if len(pairs) < 2:
        raise ValueError(f"a ratio needs at least two pairs of times, got {len(pairs)}")
    logs = np.array([math.log(b / a) for a, b in pairs])
    found = stats.bootstrap(
        (logs,), np.median, confidence_level=CONFIDENCE, method="percentile", n_resamples=2000, vectorized=True, rng=0
    ).confidence_interval
    return Ratio(float(np.exp(np.median(logs))), float(np.exp(found.low)), float(np.exp(found.high)), len(pairs))
