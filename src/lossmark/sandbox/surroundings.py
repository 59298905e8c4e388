"""What a process has beside the settings of its framework, and what code under test does to it.

Compared are random numbers, environment variables, the working directory, the import path and the filters of warnings:
around loading, the first call and a later one. What only adds may be harmless, because libraries that are loaded do it
too: the later the moment, the less is.
"""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..adapters.framework import Framework

Moment = Literal["loading", "the first call", "a call"]
WORDS = 624
"""32-bit words that a Mersenne twister makes at a time."""
DRAWS = 100
"""As many times :data:`WORDS` may be drawn before this counts as seeding."""


@dataclass(frozen=True)
class Changes:
    """A line for each thing that differs: ``wrong`` ones nobody may change, ``additions`` are remarks."""

    wrong: tuple[str, ...] = ()
    additions: tuple[str, ...] = ()

    def __add__(self, other: Changes) -> Changes:
        """Both, each line once."""
        wrong, additions = (*self.wrong, *other.wrong), (*self.additions, *other.additions)
        return Changes(tuple(dict.fromkeys(wrong)), tuple(dict.fromkeys(additions)))


@dataclass(frozen=True)
class Surroundings:
    """The surroundings of the code in a process at one moment."""

    generators: Mapping[str, Any]
    """The states of global random numbers by whose they are; a tuple that ends in a place is a Mersenne twister's."""
    environment: Mapping[str, str]
    folder: str
    path: tuple[str, ...]
    filters: tuple[Any, ...]

    def changes(self, later: Surroundings, moment: Moment, framework: Framework) -> Changes:
        """What differs in later surroundings."""
        found = [(f"{moment}: {line}"[:200], fine) for line, fine in self._differences(later, moment, framework)]
        return Changes(
            tuple(line for line, harmless in found if not harmless), tuple(line for line, harmless in found if harmless)
        )

    def _differences(self, later: Surroundings, moment: Moment, framework: Framework) -> Iterator[tuple[str, bool]]:
        """Lines, and whether what they tell is harmless."""
        for name, state in self.generators.items():
            if later.generators[name] != state:
                drawn = moment == "loading" and _drawn(state, later.generators[name])
                yield f"random numbers of {name} are {'drawn' if drawn else 'changed'}", drawn
        for name in sorted(self.environment.keys() | later.environment.keys()):
            if self.environment.get(name) != later.environment.get(name):
                added = name not in self.environment
                harmless = added and (moment == "loading" or name.startswith(framework.variables))
                yield f"environment: {name} is {'added' if added else 'changed'}", harmless
        if self.folder != later.folder:
            yield "working directory", False
        if self.path != later.path:
            yield "import path", moment != "a call" and _holds(later.path, self.path)
        if self.filters != later.filters:
            general = any(_general(item) for item in later.filters if item not in self.filters)
            narrow = moment == "loading" or (moment == "the first call" and not general)
            yield "warning filters", narrow and all(item in later.filters for item in self.filters)


def surroundings(framework: Framework) -> Surroundings:
    """Those of this process now."""
    state: Any = np.random.get_state(legacy=False)
    twister = state["bit_generator"] == "MT19937"
    numpy = (*state["state"]["key"].tolist(), int(state["state"]["pos"])) if twister else str(state)
    return Surroundings(
        {"Python": random.getstate()[1], "NumPy": numpy, framework.name: str(framework.random_state())},
        dict(os.environ),
        os.getcwd(),
        tuple(sys.path),
        tuple(warnings.filters),
    )


def _drawn(before: Any, after: Any) -> bool:
    """Whether the state of a Mersenne twister follows from an earlier one: else it has been seeded.

    Of a framework's own random numbers that is not known; its seed is one of its settings.
    """
    if not isinstance(before, tuple) or not isinstance(after, tuple):
        return isinstance(before, str) and isinstance(after, str)
    generator = random.Random()
    generator.setstate((3, before, None))
    for _ in range(DRAWS):
        if generator.getstate()[1][:WORDS] == after[:WORDS]:
            return True
        generator.getrandbits(32 * WORDS)
    return False


def _holds(longer: tuple[str, ...], shorter: tuple[str, ...]) -> bool:
    """Whether one import path has all folders of another, in their order."""
    rest = iter(longer)
    return all(folder in rest for folder in shorter)


def _general(item: Any) -> bool:
    """Whether a filter concerns warnings of others: a class that comes with Python, any message, any module."""
    _, message, category, module, _ = item
    return message is None and module is None and category.__module__ == "builtins"
