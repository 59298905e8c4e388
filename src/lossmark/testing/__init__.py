"""In other people's tests: their results on their own data, held to a formula.

It stands on the tolerance and the judgement, and for whole suites of checks on ``suite``; nothing stands on it. It must
not know a framework: a tensor is read by what it offers itself. This face is lazy, and so is what it names: importing
:func:`assert_conforms` loads NumPy and next to nothing else, and the first call loads the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conformity import Allowance, Conformity, NonConforming
    from .own_data import assert_conforms, bound
    from .parametrize import conforms

_HOMES = {
    "Allowance": "conformity", "Conformity": "conformity", "NonConforming": "conformity", "assert_conforms": "own_data",
    "bound": "own_data", "conforms": "parametrize",
}  # fmt: skip
__all__ = ["Allowance", "Conformity", "NonConforming", "assert_conforms", "bound", "conforms"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
