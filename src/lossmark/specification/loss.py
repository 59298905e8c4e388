"""A loss as the engine uses it: its formulas for each choice of parameters, its cases, its families."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..dtypes import DTYPES, F64, DType
from ..formula.gradients import Gradients
from ..formula.tree import Input
from . import hexfloat as numbers
from .document import Document
from .model import Between, CaseModel, FamilyModel, OneOf, SpecModel

if TYPE_CHECKING:
    from .laws import Law

Param = float | str
Params = Mapping[str, Param]
CaseClass = Literal["exact-dyadic", "generic", "adversarial"]
CLASS_FLAGS: Mapping[str, CaseClass] = {"Dyadic": "exact-dyadic", "Generic": "generic"}


@dataclass(frozen=True)
class Case:
    """Inputs of one call, as float64 arrays ``[B, D]`` or ``[B]``; ``integer`` names labels written as integers.

    ``params`` holds only what the case gives; the rest is left to the defaults. ``error`` names the exception that
    the input must be refused with.
    """

    id: str
    loss: str
    params: Params
    inputs: Mapping[str, F64]
    flags: tuple[str, ...] = ()
    why: str = ""
    dtypes: tuple[str, ...] = tuple(DTYPES)
    integer: frozenset[str] = frozenset()
    error: str | None = None
    golden: CaseModel | None = field(default=None, repr=False, compare=False)

    @property
    def batch(self) -> int:
        return min(len(array) for array in self.inputs.values())

    @property
    def case_class(self) -> CaseClass | Literal["family"]:
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
    params: Params

    @property
    def id(self) -> str:
        return self.model.id


@dataclass(frozen=True, eq=False)
class Loss:
    """One loss: its validated model, where it was read, its golden cases and families."""

    model: SpecModel
    document: Document
    cases: tuple[Case, ...]
    families: tuple[Family, ...]
    laws: tuple[Law, ...]
    formulas: Mapping[str | None, Gradients]

    @property
    def id(self) -> str:
        return self.model.loss

    @property
    def gradient_of(self) -> tuple[str, ...]:
        return tuple(self.model.gradient_of)

    @property
    def inputs(self) -> tuple[Input, ...]:
        return next(iter(self.formulas.values())).formula.inputs

    def params(self, given: Params) -> dict[str, Param]:
        """All parameters: the given ones over the defaults."""
        return {name: given.get(name, param_value(text.default)) for name, text in self.model.params.items()}

    def gradients(self, given: Params) -> Gradients:
        """The formula, with its gradients, that the parameters choose."""
        return self.formulas[str(self.params(given)["similarity"]) if "similarity" in self.model.params else None]

    @functools.cached_property
    def host(self) -> Case:
        """The first ordinary golden case of several examples: the one that checks of usage are made on."""
        ordinary = [case for case in self.cases if case.error is None and len(case.dtypes) == len(DTYPES)]
        plain = [
            case for case in ordinary if not case.params and case.integer >= {x.name for x in self.inputs if x.label}
        ]
        return max(plain[:4] or ordinary or self.cases, key=lambda case: case.batch)

    def golden(self, dtype: str) -> list[Case]:
        """The golden cases of one dtype, but for those that must be refused."""
        return [case for case in self.cases if case.error is None and dtype in case.dtypes]

    def case(self, case_id: str) -> Case | None:
        return next((case for case in self.cases if case.id == case_id), None)


def param_value(text: str) -> Param:
    """A parameter as the call gets it: a number where it is written as one, else the text."""
    try:
        return numbers.parse(text)
    except ValueError:
        return text


def outcome(entry: str | Between | OneOf) -> tuple[str, tuple[float, ...]]:
    """An expected leaf as ("exactly" | "between" | "one_of", its numbers)."""
    if isinstance(entry, Between):
        return "between", tuple(map(numbers.parse, entry.between))
    if isinstance(entry, OneOf):
        return "one_of", tuple(map(numbers.parse, entry.one_of))
    return "exactly", (numbers.parse(entry),)


def draw(loss: Loss, family: Family, dtype: DType) -> Case:
    """The family's case in one dtype: every number is drawn in float64, scaled and rounded to the format."""
    generator = np.random.Generator(np.random.PCG64([family.model.seed, *family.model.shape]))
    batch, width = family.model.shape
    scale = numbers.parse(family.model.scale)
    arrays: dict[str, F64] = {}
    for item in loss.inputs:
        shape = (batch, width) if item.vector else (batch,)
        if item.label == "hard":
            arrays[item.name] = generator.integers(0, 2, shape).astype(np.float64)
        elif item.label == "soft":
            arrays[item.name] = generator.choice([0.0, 1.0, 0.0, 1.0, 0.25, 0.625], shape)
        else:
            normal = family.model.distribution == "normal"
            drawn = generator.standard_normal(shape) if normal else generator.random(shape)
            arrays[item.name] = dtype.round(scale * drawn)
    return Case(family.id, loss.id, family.params, arrays)
