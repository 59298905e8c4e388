"""Whether what an implementation registers fits the losses, and what would make it fit, in a sentence each."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..adapters.arguments import Arguments, Renamed, arguments
from ..adapters.implementation import Implementation
from ..formula.tree import Input
from ..specification.loss import Loss

EVERY_KEYWORD = ("reduction",)
"""Keywords of every loss beside its inputs and parameters."""
ALIKE = 0.4
"""From this likeness of 0 to 1 on, two names are taken for one thing, where only a proposal depends on it."""
LABEL_WORDS = ("label", "target", "true", "truth")
"""Words in what people call an input that a spec calls a label."""


def misfits(impl: Implementation, losses: Mapping[str, Loss]) -> Iterator[str]:
    """What the implementation registers that is no loss, or cannot be called as its loss is."""
    for table, word in ((impl.losses, "loss"), (impl.gradients, "gradient")):
        for loss_id, function in table.items():
            if loss_id not in losses:
                yield f"{impl.name} registers the {word} {loss_id!r}, which is no loss: {no_loss(loss_id, losses)}"
                continue
            found = misfit(function, losses[loss_id], word)
            if found:
                yield f"{impl.name}: the function for {word} {loss_id!r} {found}"


def no_loss(loss_id: str, losses: Iterable[str]) -> str:
    """What may be meant by the id of no loss, in words."""
    word = loss_id.lower().removesuffix("loss").strip("_-")
    near = difflib.get_close_matches(word, losses, n=1, cutoff=0.5)
    return f"the nearest is {near[0]!r}" if near else f"losses are {', '.join(losses)}"


def misfit(function: Callable[..., Any], loss: Loss, word: str = "loss") -> str:
    """Why the function cannot be called as the loss is, with what would help; empty if it can.

    ``word`` names the decorator that registers it, ``loss`` or ``gradient``. Reads after "the function".
    """
    given = function.names if isinstance(function, Renamed) else {}
    inputs = [item.name for item in loss.inputs]
    keywords = (*inputs, *loss.model.params, *EVERY_KEYWORD)
    taken = arguments(function)
    for name, own in given.items():
        if name not in keywords:
            return f"has names for {name!r}, which {loss.id} does not have; it has {', '.join(keywords)}"
        if not taken.takes(name):
            return f"does not take {own!r}, which its names give to {name!r}"
    if taken.nameless:
        return f"requires {', '.join(map(repr, taken.nameless))} in a way that no keyword reaches; calls are by keyword"
    unknown = [name for name in taken.required if name not in keywords]
    missing = [item for item in loss.inputs if item.name not in taken.names and item.optional is None]
    if missing and (unknown or not taken.others):
        return _renaming(function, taken, loss, missing, word, given)
    if unknown:
        return f"requires {unknown[0]!r}, which {loss.id}({', '.join(keywords)}) does not have: give it a default"
    return ""


def _renaming(
    function: Callable[..., Any],
    taken: Arguments,
    loss: Loss,
    missing: Sequence[Input],
    word: str,
    given: Mapping[str, str],
) -> str:
    """The sentence about inputs that the function does not take by the spec's names, with names that may be theirs."""
    keywords = {item.name for item in loss.inputs} | {*loss.model.params, *EVERY_KEYWORD}
    free = [name for name in taken.names if name not in keywords]
    free.sort(key=lambda name: name not in taken.required)
    expected = ", ".join(item.name for item in loss.inputs)
    text = f"takes {', '.join(taken.names) or 'nothing'} and is called with {expected}"
    if isinstance(function, type):
        return f"is a class and is called with {expected}: register an object of it"
    guess = guessed(missing, free)
    if len(guess) < len(missing):
        left = ", ".join(repr(item.name) for item in missing if item.name not in guess)
        return f"{text}: it has nothing that could be {left}"
    return f'{text}: @impl.{word}("{loss.id}", names={json.dumps({**given, **guess}, ensure_ascii=False)}) maps them'


def guessed(inputs: Sequence[Input], free: Sequence[str]) -> dict[str, str]:
    """Which of the ``free`` names of a function may be which input, by likeness, and the rest in their order."""
    pairs = [(item, name) for item in inputs for name in free]
    pairs.sort(key=lambda pair: -_likeness(*pair))
    found: dict[str, str] = {}
    for item, name in [pair for pair in pairs if _likeness(*pair) >= ALIKE]:
        if item.name not in found and name not in found.values():
            found[item.name] = name
    rest = [name for name in free if name not in found.values()]
    left = [item.name for item in inputs if item.name not in found]
    found |= dict(zip(left, rest, strict=False))
    return {item.name: found[item.name] for item in inputs if item.name in found}


def _likeness(item: Input, name: str) -> float:
    one, other = item.name.lower(), name.lower()
    likeness = difflib.SequenceMatcher(None, one, other).ratio()
    if other.startswith(one) or one.startswith(other):
        likeness = max(likeness, 0.6)
    return likeness + (item.label is not None and any(word in other for word in LABEL_WORDS))
