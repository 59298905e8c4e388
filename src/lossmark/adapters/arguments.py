"""What a callable takes as keywords, and callables whose arguments have other names than those they are called with.

Frameworks' objects are told by their shape, so that none is imported: a ``torch.nn.Module`` takes what its ``forward``
takes, a Keras layer what its ``call`` takes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Function = Callable[..., Any]
HANDED_TO = ("_orig_mod", "forward", "call")
"""Attributes of objects whose own call takes anything and passes it on, the first present is asked: a compiled
``torch.nn.Module``, any other, a Keras layer."""
DEPTH = 4
"""How many objects are asked in turn, at most; one may be its own attribute."""
KERAS = ("y_true", "y_pred")
"""What every Keras loss is called with; it hands them by position to its ``call``, which may name them otherwise."""


@dataclass(frozen=True)
class Arguments:
    """What a callable takes as keywords: ``names`` in their order, of which some are ``required``."""

    names: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    nameless: tuple[str, ...] = ()
    """Required ones that no keyword reaches."""
    others: bool = False
    """Whether any other keyword may be given too."""

    def takes(self, name: str) -> bool:
        """Whether an argument can be given as a keyword of this name."""
        return self.others or name in self.names


class Renamed:
    """A callable under other names of its arguments: ``names`` are those that it is called with → its own."""

    def __init__(self, function: Function, names: Mapping[str, str]):
        self.function, self.names = function, dict(names)

    def __call__(self, **keywords: Any) -> Any:
        """Call the function with its own names."""
        return self.function(**{self.names.get(name, name): value for name, value in keywords.items()})

    @property
    def arguments(self) -> Arguments:
        """The function's arguments by the names that they are given with here."""
        own = arguments(self.function)
        given = {mine: name for name, mine in self.names.items()}
        out_of_reach = tuple(name for name in own.required if name in self.names and name not in given)

        def shown(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(given.get(name, name) for name in names if name in given or name not in self.names)

        return Arguments(shown(own.names), shown(own.required), own.nameless + out_of_reach, own.others)


class KerasLoss:
    """A Keras loss by the names that its ``call`` has for :data:`KERAS`."""

    def __init__(self, loss: Function, names: tuple[str, ...]):
        self.loss, self.names = loss, names

    def __call__(self, **keywords: Any) -> Any:
        """Call the loss, its two arguments by position."""
        first = [keywords.pop(name) for name in self.names]
        return self.loss(*first, **keywords)

    @property
    def arguments(self) -> Arguments:
        """The loss's arguments, the first two by the names of its ``call``."""
        rest = tuple(name for name in arguments(self.loss).names if name not in KERAS)
        return Arguments(self.names + rest, self.names)


def by_own_names(function: Function) -> Function:
    """The function, or a Keras loss as a callable by the names that its ``call`` has."""
    call = getattr(function, "call", None)
    if callable(call) and arguments(function).names[:2] == KERAS:
        own = arguments(call)
        if own.required != KERAS and len(own.required) == 2:
            return KerasLoss(function, own.required)
    return function


def arguments(function: Function) -> Arguments:
    """What a callable takes as keywords; everything where that cannot be found out."""
    if isinstance(function, (Renamed, KerasLoss)):
        return function.arguments
    found = None
    for _ in range(DEPTH):
        found = _signature(function, through=False)
        if _takes_anything(found):
            found = _signature(function, through=True)
        inner = next((attribute for name in HANDED_TO if callable(attribute := getattr(function, name, None))), None)
        if inner is None or not _takes_anything(found):
            break
        function = inner
    return Arguments(others=True) if found is None else _of(found)


def _signature(function: Function, *, through: bool) -> inspect.Signature | None:
    """The signature of a callable, ``through`` decorators that keep what they wrap; None where there is none."""
    try:
        return inspect.signature(function, follow_wrapped=through)
    except (TypeError, ValueError):
        return None


def _takes_anything(found: inspect.Signature | None) -> bool:
    return found is None or any(item.kind is item.VAR_KEYWORD for item in found.parameters.values())


def _of(found: inspect.Signature) -> Arguments:
    items = list(found.parameters.values())
    named = [item for item in items if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)]
    first = [item for item in items if item.kind is item.POSITIONAL_ONLY]
    return Arguments(
        tuple(item.name for item in named),
        tuple(item.name for item in named if item.default is item.empty),
        tuple(item.name for item in first if item.default is item.empty),
        _takes_anything(found),
    )
