"""The working precision of Arb, which is one number for the whole process.

Checks that draw their own inputs compute exact values in threads beside the one that judges. Where two set the
precision in turn, the first to end would leave the other with too few bits, and wrong "exact" values.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from flint import ctx

_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def working_precision(bits: int) -> Iterator[None]:
    """Arb works with so many bits inside; another thread that wants to set them waits."""
    with _ONE_AT_A_TIME, ctx.workprec(bits):
        yield
