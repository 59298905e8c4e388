"""What the mathematics of a formula leaves open, and which choices conform."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Convention:
    """The slope of ``max`` at a tie (``tie``, 0 or 1: which side of the kink is read), the product 0·∞, and the norm.

    IEEE arithmetic makes 0·∞ a NaN; the limit is 0. Likewise an infinity less itself, where a number is taken from the
    largest or from its own entry. Both conform, so both are read where infinities occur. ``textbook`` takes the norm
    as the root of a sum of squares, which may underflow, and its gradient through x / ‖x‖; else the norm is one
    operation that loses nothing.
    """

    tie: int = 0
    zero_times_inf: float = math.nan
    textbook: bool = False

    @property
    def limit(self) -> bool:
        """Whether 0·∞ is 0."""
        return self.zero_times_inf == 0


IEEE = Convention()
"""What IEEE arithmetic gives, on the lower side of each kink."""
OTHER_SIDE = Convention(tie=1)
"""What IEEE arithmetic gives on the upper side of each kink."""
TEXTBOOK = Convention(textbook=True)
"""As IEEE, with norms by the textbook."""
TEXTBOOK_OTHER_SIDE = Convention(tie=1, textbook=True)
"""As the other side of each kink, with norms by the textbook."""
LIMIT = Convention(zero_times_inf=0.0)
"""As IEEE, but that 0·∞ is its limit 0."""
