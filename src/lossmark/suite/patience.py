"""Crashes and hangs of each implementation, and what they have cost it."""

from __future__ import annotations

import threading
from collections import Counter

from ..adapters.registry import Reference
from ..checks.catalogue import ORDINARY
from ..sandbox.process import PATIENCE


class Patience:
    """Counts what implementations have lost, each for itself; safe for use by several threads.

    At a check of usage or consistency it is the check that is given up, for that implementation; at the ordinary
    checks it is the implementation. So one that crashes on empty batches is blamed for empty batches alone.
    """

    def __init__(self) -> None:
        self._lost: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()

    def lost(self, reference: Reference, check: str = "") -> None:
        """Count a crash or a hang at a check; without one it is the implementation's as a whole."""
        with self._lock:
            self._lost[_place(reference, check)] += 1

    def over(self, reference: Reference, check: str = "") -> str:
        """Why the implementation is not asked any more at this check; empty if it is."""
        if self._lost[_place(reference, "")] >= PATIENCE:
            return f"given up after {PATIENCE} crashes or hangs"
        if self._lost[_place(reference, check)] >= PATIENCE:
            return f"{check} is given up after {PATIENCE} crashes or hangs at it"
        return ""


def _place(reference: Reference, check: str) -> tuple[str, str, str]:
    return reference.source, reference.name, "" if check in ORDINARY else check
