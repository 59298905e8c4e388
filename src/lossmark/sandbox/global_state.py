"""The global state that a loss must leave as it found it: numeric settings, random numbers, warnings, functions.

The worker takes a snapshot of settings and functions three times: before it loads the code under test, after that, and
after calls of it. Random numbers, warnings and the process's environment are compared around loading, around the first
call of each function, and around a later one. Settings must stay as they are; functions that loading replaces are a
grade.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import os
import random
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ..adapters.framework import Framework
from .surroundings import Changes, Moment, Surroundings, surroundings


@dataclass(frozen=True)
class Snapshot:
    """The state of a process at one moment."""

    settings: Mapping[str, str]
    """Numeric settings by name."""
    functions: Mapping[str, Any]
    """The watched functions by name."""
    home: str
    """The folder of the framework: it may replace its own functions, as torch.compile does."""

    def set(self, later: Snapshot) -> list[str]:
        """The settings that differ in a later snapshot, a line each."""
        return [f"{k}: {v} → {later.settings[k]}" for k, v in self.settings.items() if later.settings[k] != v]

    def replaced(self, later: Snapshot) -> list[str]:
        """The functions that are others in a later snapshot, a line each; one that has been added is no change."""
        return [
            f"{name} is replaced"
            for name, function in self.functions.items()
            if later.functions.get(name) is not function and not self._at_home(later.functions.get(name))
        ]

    def _at_home(self, function: Any) -> bool:
        return str(getattr(getattr(function, "__code__", None), "co_filename", "")).startswith(self.home)


class GlobalState:
    """The state of this process and of one framework; create it before loading the code under test.

    ``watched`` are modules, beside those of Python, NumPy and the framework, whose functions nobody may replace.
    """

    def __init__(self, adapter: Framework, watched: Iterable[ModuleType]):
        self._adapter = adapter
        self._watched = tuple(watched)
        self._loaded = self._look()
        self.by_loading = Changes()
        """What loading the code has changed."""
        random.random(), np.random.random()  # or else seeding as it was seeded last would change nothing
        self._before = surroundings(adapter)

    def loaded(self) -> None:
        """Take the snapshot that calls are compared with; call it when the code under test is loaded."""
        fresh, self._loaded = self._loaded, self._look()
        replaced = Changes((), tuple(f"loading: {line}"[:200] for line in fresh.replaced(self._loaded)))
        wrong = Changes(tuple(f"loading: {line}"[:200] for line in fresh.set(self._loaded)))
        self.by_loading = wrong + self._changes(self._before, "loading") + replaced

    def by_calling(self, call: Callable[[], object]) -> Changes:
        """What calls have changed since the code was loaded, and what this one changes. Calls twice."""
        with warnings.catch_warnings():
            call()  # whatever is loaded at the first call is loaded now
        random.random(), np.random.random()
        with warnings.catch_warnings():
            before = surroundings(self._adapter)
            call()
            passing = self._changes(before, "a call")
        now = self._look()
        return Changes(tuple(line[:200] for line in (*self._loaded.set(now), *self._loaded.replaced(now)))) + passing

    def first(self, function: Callable[..., Any]) -> FirstCall:
        """The function, watched until a call of it gives a result."""
        return FirstCall(function, self._adapter)

    def _changes(self, before: Surroundings, moment: Moment) -> Changes:
        return before.changes(surroundings(self._adapter), moment, self._adapter)

    def _look(self) -> Snapshot:
        settings = {**self._adapter.settings(), **_arithmetic()}
        watched = [builtins, time, np, *self._watched, *self._adapter.namespaces()]
        functions = {
            f"{_name(space)}.{name}": value
            for space in watched
            for name, value in _members(space)
            if callable(value) and not isinstance(value, ModuleType)
        }
        home = os.path.dirname(str(importlib.import_module(self._adapter.module).__file__))
        return Snapshot(settings, functions, home + os.sep)


class FirstCall:
    """A function under test that is watched until a call of it gives a result."""

    def __init__(self, function: Callable[..., Any], adapter: Framework):
        self._function, self._adapter = function, adapter
        self.over = False
        """Whether it is watched no more."""
        self.changes = Changes()
        """What the first call, and those before it that gave no result, have changed."""

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """The function's result; raises what the function raises."""
        if self.over:
            return self._function(*arguments, **keywords)
        random.random(), np.random.random()
        with warnings.catch_warnings(record=True):
            warnings.resetwarnings()  # a filter that is there already could not be added
            warnings.filterwarnings("ignore", message="a filter that may not be removed")
            before = surroundings(self._adapter)
            try:
                result = self._function(*arguments, **keywords)
            finally:
                after = surroundings(self._adapter)
                self.changes += before.changes(after, "the first call", self._adapter)
        self.over = True
        return result


def _members(space: Any) -> Iterable[tuple[str, Any]]:
    """The names of a module; of a class, inherited ones too, because a patch of these hides them."""
    if isinstance(space, type):
        return [(name, inspect.getattr_static(space, name, None)) for name in dir(space)]
    return list(vars(space).items())


def _name(space: Any) -> str:
    return str(getattr(space, "__name__", space))


def _arithmetic() -> dict[str, str]:
    """The float environment: how NumPy treats exceptions, whether subnormals live, which way is rounded."""
    with np.errstate(all="ignore"):
        tiny = np.float32(2.0**-149) * np.float32(1), np.float64(2.0**-1074) * np.float64(1)
        up, down = 1 + np.float64(2.0**-54), 1 - np.float64(2.0**-55)
    return {
        "numpy.geterr": str(np.geterr()),
        "subnormal numbers": "kept" if all(tiny) else "flushed",
        "rounding": "to nearest" if up == 1 == down else "directed",
    }
