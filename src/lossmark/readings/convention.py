"""What the mathematics of a formula leaves open, and which choices conform."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Convention:
    """The slope of ``max`` at a tie (``tie``, 0 or 1: which side of the kink is read), and the product 0·∞.

    IEEE arithmetic makes 0·∞ a NaN; the limit is 0. Both conform, so both are read where infinities occur.
    """

    tie: int = 0
    zero_times_inf: float = math.nan

    @property
    def limit(self) -> bool:
        """Whether 0·∞ is 0."""
        return self.zero_times_inf == 0


IEEE = Convention()
"""What IEEE arithmetic gives, on the lower side of each kink."""
OTHER_SIDE = Convention(tie=1)
"""What IEEE arithmetic gives on the upper side of each kink."""
LIMIT = Convention(zero_times_inf=0.0)
"""As IEEE, but that 0·∞ is its limit 0."""
