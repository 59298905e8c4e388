"""The global state that a loss must leave as it found it: numeric settings, random numbers, warnings, functions.

The worker takes a snapshot of settings and functions three times: before it loads the code under test, after that, and
after calls of it. What loading changes is a grade; what a call changes is a failure. Random numbers, warnings and the
process's environment are compared around the second call, because frameworks load parts of themselves, and change
these, at the first.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import os
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ..adapters.framework import Framework


@dataclass(frozen=True)
class Snapshot:
    """The state of a process at one moment."""

    settings: Mapping[str, str]
    """Numeric settings by name."""
    functions: Mapping[str, Any]
    """The watched functions by name."""
    home: str
    """The folder of the framework: it may replace its own functions, as torch.compile does."""

    def changes(self, later: Snapshot) -> list[str]:
        """What differs in a later snapshot, a line each; a function that has been added is no change."""
        lines = [f"{k}: {v} → {later.settings[k]}" for k, v in self.settings.items() if later.settings[k] != v]
        lines += [
            f"{name} is replaced"
            for name, function in self.functions.items()
            if later.functions.get(name) is not function and not self._at_home(later.functions.get(name))
        ]
        return [line[:200] for line in lines]

    def _at_home(self, function: Any) -> bool:
        return str(getattr(getattr(function, "__code__", None), "co_filename", "")).startswith(self.home)


class GlobalState:
    """The state of this process and of one framework; create it before loading the code under test.

    ``watched`` are modules, beside those of Python, NumPy and the framework, whose functions nobody may replace.
    """

    def __init__(self, adapter: Framework, watched: Iterable[ModuleType]):
        self._adapter = adapter
        self._watched = tuple(watched)
        self._fresh = self._loaded = self._look()

    def loaded(self) -> None:
        """Take the snapshot that calls are compared with; call it when the code under test is loaded."""
        self._loaded = self._look()

    @property
    def by_loading(self) -> list[str]:
        """What loading the code has changed, a line each."""
        return self._fresh.changes(self._loaded)

    def by_calling(self, call: Callable[[], object]) -> list[str]:
        """What calls have changed since the code was loaded, and what this one changes, a line each. Calls twice."""
        with warnings.catch_warnings():
            call()  # whatever is loaded at the first call is loaded now
        random.random(), np.random.random()  # or else seeding anew at every call would change nothing
        with warnings.catch_warnings():
            before, filters = self._passing(), list(warnings.filters)
            call()
            after = self._passing()
            passing = [name for name in before if before[name] != after[name]]
            if list(warnings.filters) != filters:
                passing.append("warning filters")
        return self._loaded.changes(self._look()) + passing

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

    def _passing(self) -> dict[str, str]:
        return {
            "random numbers of Python": str(random.getstate()),
            "random numbers of NumPy": str(np.random.get_state(legacy=False)),
            "working directory": os.getcwd(),
            "environment": str(sorted(os.environ.items())),
            "import path": str(sys.path),
            f"random numbers of {self._adapter.name}": str(self._adapter.random_state()),
        }


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
