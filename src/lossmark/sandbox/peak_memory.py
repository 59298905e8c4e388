"""Peak memory of a call, from the high-water mark that Linux keeps of a process's resident memory.

Writing ``5`` to ``/proc/self/clear_refs`` resets ``VmHWM`` without privileges. Allocators that keep what is given back
hide allocations, so free memory is returned to the system first, and a known allocation is measured beside every call:
where that one is not seen, nothing is said about the other.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

try:
    import resource
except ImportError:  # not on Windows, which has no /proc either
    resource = None  # type: ignore[assignment]

KNOWN = 64 << 20
"""Bytes of the known allocation."""
TOLERANCE = 0.05
"""How far the known allocation may be missed, as a share of it, for a measurement to count."""


def peak(call: Callable[[], Any]) -> int | None:
    """Bytes at the peak of ``call`` beyond what the process held before; None where that cannot be measured."""
    known = _above(lambda: np.ones(KNOWN, np.uint8))
    if known is None or abs(known - KNOWN) > TOLERANCE * KNOWN:
        return None
    return _above(call)


def faults() -> int:
    """Pages that the system gave to this process so far; 0 where it does not say."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt if resource else 0


def _above(call: Callable[[], Any]) -> int | None:
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    before = _kibibytes("VmRSS")
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    result = call()
    after = _kibibytes("VmHWM")
    del result
    return None if before is None or after is None else (after - before) * 1024


def _kibibytes(field: str) -> int | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    return None
