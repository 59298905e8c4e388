"""Calls that a loss is held to: golden cases, whose numbers its spec writes, and families, drawn from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..dtypes import DTYPES, F64
from . import hexfloat as numbers
from .model import CaseModel, FamilyModel

Param = float | str
"""The value of a parameter: a number, or one of its choices."""
Parameters = Mapping[str, Param]
"""Values of parameters by name."""
CaseClass = Literal["exact-dyadic", "generic", "adversarial"]
CLASS_FLAGS: Mapping[str, CaseClass] = {"Dyadic": "exact-dyadic", "Generic": "generic"}
"""The flags that make a golden case exact-dyadic or generic; any other is adversarial."""


@dataclass(frozen=True)
class Case:
    """Inputs of one call, as float64 arrays ``[B, D]`` or ``[B]``; ``integer`` names labels written as integers.

    ``params`` holds only what the case gives; the rest is left to the defaults. ``error`` names the exception that
    the input must be refused with. ``golden`` is the case as the spec writes it, None for a case that was drawn.
    """

    id: str
    loss: str
    params: Parameters
    inputs: Mapping[str, F64]
    flags: tuple[str, ...] = ()
    why: str = ""
    dtypes: tuple[str, ...] = tuple(DTYPES)
    integer: frozenset[str] = frozenset()
    error: str | None = None
    golden: CaseModel | None = field(default=None, repr=False, compare=False)

    @property
    def batch(self) -> int:
        """B, the number of examples; of the shortest input where the batches do not fit."""
        return min(len(array) for array in self.inputs.values())

    @property
    def case_class(self) -> CaseClass | Literal["family"]:
        """The class that the flags of a golden case put it in; ``"family"`` for a case that was drawn."""
        if self.golden is None:
            return "family"
        return next((CLASS_FLAGS[flag] for flag in self.flags if flag in CLASS_FLAGS), "adversarial")

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, D), or (B,) for a loss without embeddings."""
        return max((array.shape for array in self.inputs.values()), key=len)


@dataclass(frozen=True)
class Family:
    """A seeded random case of one shape; ``full`` families run only under ``--full``."""

    model: FamilyModel
    params: Parameters

    @property
    def id(self) -> str:
        """The id that the spec gives it, which its case has too."""
        return self.model.id


def param_value(text: str) -> Param:
    """A parameter as the call gets it: a number where it is written as one, else the text."""
    try:
        return numbers.parse(text)
    except ValueError:
        return text
