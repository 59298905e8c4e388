"""What several commands share: options with choices, sizes, chosen losses, and where tables are printed."""

from __future__ import annotations

import sys
from enum import StrEnum

from rich.console import Console

from ..errors import LossmarkError
from ..specification.library import losses
from ..specification.loss import Loss
from ..suite.plan import Choice, check

WIDE = 160
"""Columns of a table that is not printed on a terminal."""
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Settings of a command that passes on to pytest the options that it does not know."""


class Passes(StrEnum):
    """What is timed."""

    forward = "fwd"
    both = "fwd+bwd"


class Allocator(StrEnum):
    """Whether a CPU's memory that was freed is kept, or given back to the system as glibc has it."""

    warm = "warm"
    default = "default"


class Device(StrEnum):
    """Where implementations run."""

    cpu = "cpu"
    gpu = "gpu"


class Format(StrEnum):
    """How results are printed."""

    text = "text"
    json = "json"


class OutcomeFormat(StrEnum):
    """How the outcome of a gate is printed."""

    text = "text"
    markdown = "markdown"
    json = "json"
    junit = "junit"


def wide_console() -> Console:
    """Standard output; where it is no terminal, wide enough for a table to keep its lines."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)


def chosen_losses(choice: Choice) -> list[Loss]:
    """The losses that a choice names, or all; raises :class:`LossmarkError` if it names anything unknown."""
    known = losses()
    check(known, choice)
    return [known[name] for name in choice.losses or known]


def size_of(text: str) -> tuple[int, int]:
    """Batch and dimensions from ``BxD``; raises :class:`LossmarkError`."""
    numbers = text.lower().split("x")
    if len(numbers) != 2 or not all(number.isdecimal() and int(number) for number in numbers):
        raise LossmarkError(f"--size: found {text!r}, expected BxD, for example 4096x128")
    return int(numbers[0]), int(numbers[1])
