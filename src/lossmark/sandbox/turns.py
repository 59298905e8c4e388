"""Turns at computing: many workers at once, or one alone, as when a crash or a time-out is tried again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Turns:
    """Who may compute now: up to ``most`` beside each other, or one alone, who goes before all that come later."""

    def __init__(self, most: int):
        self._most = most
        self._computing = self._alone = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        """Wait for a turn beside others; it lasts as long as the context."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and self._computing < self._most)
            self._computing += 1
        try:
            yield
        finally:
            with self._changed:
                self._computing -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody computes and keep the others from it; not to be called within :meth:`beside`."""
        with self._changed:
            self._alone += 1
            self._changed.wait_for(lambda: not self._computing)
            self._computing += 1
        try:
            yield
        finally:
            with self._changed:
                self._alone -= 1
                self._computing -= 1
                self._changed.notify_all()
