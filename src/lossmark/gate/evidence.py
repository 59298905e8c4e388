"""When times are enough, and what they say.

A pair is a block of the base and a block of the head, in random order on one processor; between them runs a block of a
second process of the base, which is the base in all but name. Slower is what is beyond the threshold in the median and
above 1 with 99 % confidence, and unlikely enough beside all the other benchmarks (Holm, "A simple sequentially
rejective multiple test procedure", 1979; the test of a benchmark is Wilcoxon's signed-rank test). Not slower is what
has its whole interval below the threshold. The second process judges the machine only: if it seems to differ from the
base by more than 5 %, no verdict is given.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from scipy import stats

from ..timing.ratio import LEAST_PAIRS, Ratio, ratio

ALPHA = 0.01
"""How often a gate may call anything slower that is not, over all its benchmarks."""
FIT = 0.05
"""By how much the base may seem to differ from itself."""

EvidenceVerdict = Literal["pass", "fail", "undecided", "unfit"]


@dataclass
class Evidence:
    """Times of a benchmark in seconds: (base, head, base again) of each round."""

    rounds: list[tuple[float, float, float]] = field(default_factory=list)

    @property
    def ratio(self) -> Ratio:
        """The time of the head over that of the base."""
        return ratio([(base, head) for base, head, _ in self.rounds])

    @property
    def drift(self) -> float:
        """The median time of the base's second process over that of its first."""
        return math.exp(statistics.median(math.log(twin / base) for base, _, twin in self.rounds))

    @property
    def means(self) -> float:
        """The mean time of the head over that of the base."""
        return sum(head for _, head, _ in self.rounds) / sum(base for base, _, _ in self.rounds)

    @property
    def p(self) -> float:
        """The chance of times like these if the head is not slower at all."""
        logs = [math.log(head / base) for base, head, _ in self.rounds]
        return float(stats.wilcoxon(logs, alternative="greater").pvalue) if any(logs) else 1.0

    def verdict(self, threshold: float, alpha: float) -> EvidenceVerdict:
        """What the times say so far, if a benchmark alone may be wrong with chance ``alpha``."""
        if len(self.rounds) < LEAST_PAIRS:
            return "undecided"
        if abs(math.log(self.drift)) > math.log1p(FIT):
            return "unfit"
        found = self.ratio
        if found.median > 1 + threshold and found.low > 1 and self.p <= alpha:
            return "fail"
        return "pass" if found.high < 1 + threshold else "undecided"


def holm(values: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """The level that each of several tests with these p-values has to reach, all of them together ``alpha``.

    The smallest is held against alpha/n, the next against alpha/(n-1), …; after one that fails its level, none counts.
    """
    levels = [0.0] * len(values)
    for rank, index in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        level = alpha / (len(values) - rank)
        if values[index] > level:
            break
        levels[index] = level
    return levels
