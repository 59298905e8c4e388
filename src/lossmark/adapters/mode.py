"""Modes of execution: how a framework runs a loss, and what the engine has to know of it.

A framework lists its modes in ``impls/<folder>/framework.py``; the command line and ``Implementation(modes=…)`` name
them. The engine never asks for a name: it asks for a property.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Compiling(IntEnum):
    """How long a compiler works on a loss, beside the time that the loss itself takes."""

    NONE = 0
    """There is no compiler."""
    SHORT = 1
    """A fraction of a second: a program for every shape can be afforded."""
    LONG = 2
    """So long that cases have to share their shapes."""
    LONGEST = 3
    """So long that even one program for every dtype is too much."""


@dataclass(frozen=True)
class Mode:
    """How a framework runs a loss; ``name`` is what people call it."""

    name: str
    traced: bool = False
    """The whole loss becomes one program at its first call, with its parameters as constants of the program.

    Without this every operation runs by itself, when it is called."""
    compiling: Compiling = Compiling.NONE
    ones_apart: bool = False
    """One compiled program serves all shapes, but those with a size of 1 have another.

    Without this a mode that compiles does so at every new shape."""

    @property
    def compiles(self) -> bool:
        """Whether a compiler runs, be it for the whole loss or for each of its operations."""
        return self.compiling > Compiling.NONE

    @property
    def starts_slowly(self) -> bool:
        """Whether a call whose shapes or parameters are new takes longer than the next, because of what it prepares."""
        return self.traced or self.compiles
