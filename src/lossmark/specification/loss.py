"""A loss as the engine uses it: its formulas for each choice of parameters, its cases, its families."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dtypes import DTYPES
from ..formula.gradients import Gradients
from ..formula.tree import BATCH, EMBEDDING, Dims, Input, Sizes
from ..formula.zero_columns import add_nothing
from .case import Case, Embedded, Family, Param, Parameters, param_value
from .document import Document
from .formulas import Chosen
from .in_the_large import in_the_large
from .laws import Law
from .model import SpecModel

VECTORS = 8
"""How many vectors an example has of an input ``[B, N, D]``, where a size gives B and D alone."""


@dataclass(frozen=True, eq=False)
class Loss:
    """One loss: its validated model, where it was read, its golden cases and families."""

    model: SpecModel
    document: Document
    cases: tuple[Case, ...]
    families: tuple[Family, ...]
    laws: tuple[Law, ...]
    formulas: Mapping[Chosen, Gradients]

    @property
    def id(self) -> str:
        """The id, which is the name of the spec file and of the function in code under test."""
        return self.model.loss

    @property
    def gradient_of(self) -> tuple[str, ...]:
        """The inputs that the loss is differentiated by."""
        return tuple(self.model.gradient_of)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The arguments in the order of the spec, with their shapes and what labels they are."""
        return next(iter(self.formulas.values())).formula.inputs

    @property
    def coupled(self) -> bool:
        """Whether a loss or a gradient depends on several examples."""
        return next(iter(self.formulas.values())).formula.coupled

    @property
    def pairs(self) -> bool:
        """Whether each example is taken with every other."""
        return bool(self.model.axes)

    @property
    def dims(self) -> dict[str, Dims]:
        """The axes of each input."""
        return {item.name: item.dims for item in self.inputs}

    @property
    def axes(self) -> Dims:
        """Every axis of its inputs, the batch first."""
        return tuple(dict.fromkeys(axis for item in self.inputs for axis in item.dims))

    @property
    def classes(self) -> str:
        """The axis of classes: that which is neither the batch nor the embedding dimension; empty where none is."""
        return next((axis for axis in self.axes if axis not in (BATCH, EMBEDDING)), "")

    def sizes(self, size: tuple[int, int]) -> Sizes:
        """How long each axis is at a size: batch, also where it is run over again, and every axis beside it.

        Where an input has two axes beside the batch, the first of these is :data:`VECTORS` long.
        """
        beside = [axis for axis in self.axes if axis != BATCH] or [EMBEDDING]
        again = next(iter(self.formulas.values())).formula.again
        few = {item.dims[1]: min(VECTORS, size[1]) for item in self.inputs if len(item.dims) > 2}
        return {BATCH: size[0], **dict.fromkeys(beside, size[1]), **few, **dict.fromkeys(again, size[0])}

    def signed(self, item: Input) -> bool:
        """Whether the numbers of an input have either sign: those of vectors, logits, scores and plain numbers."""
        return len(item.dims) > 1 or self.model.inputs[item.name].kind in ("logits", "score", "number")

    @functools.cached_property
    def optional(self) -> tuple[str, ...]:
        """The inputs that may be left out of a call."""
        return tuple(item.name for item in self.inputs if item.optional is not None)

    @functools.cached_property
    def indices(self) -> frozenset[str]:
        """The labels that number entries."""
        return frozenset(item.name for item in self.inputs if item.label == "index")

    @functools.cached_property
    def integers(self) -> frozenset[str]:
        """The parameters that are integers: those that mark a label as ignored."""
        return frozenset(item.ignore for item in self.inputs if item.ignore)

    def mark(self, item: Input, given: Parameters) -> float:
        """The value of an index that marks a row as ignored; nan, which no index is, where there is none."""
        found = self.params(given)[item.ignore] if item.ignore else math.nan
        assert not isinstance(found, str)
        return found

    def uncounted(self, case: Case) -> NDArray[np.bool_]:
        """The examples ``[B]`` that do not count, because an index has the value that marks them."""
        found = np.zeros(case.batch, bool)
        for item in self.inputs:
            if item.ignore:
                found |= case.inputs[item.name] == self.mark(item, case.params)
        return found

    def without_uncounted(self, case: Case) -> Case:
        """The case with 0 for what is not finite in examples that do not count: it reaches neither value nor gradient.

        The case itself where there is nothing such.
        """
        if not any(item.ignore for item in self.inputs):
            return case
        rows, inputs = self.uncounted(case), dict(case.inputs)
        for name in self.gradient_of:
            array = inputs[name]
            if case.by_example(name) and not np.isfinite(array[rows]).all():
                gone = rows.reshape(-1, *[1] * (array.ndim - 1)) & ~np.isfinite(array)
                inputs[name] = np.where(gone, 0.0, array)
        return (
            case if all(inputs[name] is array for name, array in case.inputs.items()) else replace(case, inputs=inputs)
        )

    def called(self, given: Parameters) -> dict[str, Any]:
        """Parameters as a call gets them."""
        whole = {name: x for name, x in given.items() if name in self.integers and float(x).is_integer()}
        return {**given, **{name: int(x) for name, x in whole.items()}}

    def params(self, given: Parameters) -> dict[str, Param]:
        """All parameters: the given ones over the defaults."""
        defaults = {
            name: param.default if param.choices else param_value(param.default)
            for name, param in self.model.params.items()
        }
        return {name: given.get(name, default) for name, default in defaults.items()}

    def gradients(self, given: Parameters) -> Gradients:
        """The formula, with its gradients, that the parameters choose."""
        chosen = self.params(given)
        return self.formulas[tuple(str(chosen[name]) for name, param in self.model.params.items() if param.choices)]

    @functools.cached_property
    def host(self) -> Case:
        """The golden case that the checks made once per loss are made on: the one that the spec names.

        Where it names none, the largest of its first four ordinary cases: for every dtype, not refused, with the
        default parameters and integer labels.
        """
        named = [case for case in self.cases if case.golden is not None and case.golden.host]
        if named:
            return named[0]
        labels = {item.name for item in self.inputs if item.label}
        ordinary = [case for case in self.cases if case.error is None and len(case.dtypes) == len(DTYPES)]
        plain = [case for case in ordinary if not case.params and case.integer >= labels]
        return max(plain[:4] or ordinary or self.cases, key=lambda case: case.batch)

    @functools.cached_property
    def embedded(self) -> tuple[Embedded, ...]:
        """Its golden cases among the rows of larger batches; none where these would change what they expect."""
        return () if self.coupled else tuple(in_the_large(self.cases, self.widens))

    @functools.cached_property
    def widens(self) -> bool:
        """Whether columns of zeros leave the loss as it is, whatever its parameters."""
        return all(add_nothing(gradients.formula) for gradients in self.formulas.values())

    def golden(self, dtype: str) -> list[Case]:
        """The golden cases of one dtype, but for those that must be refused."""
        return [case for case in self.cases if case.error is None and dtype in case.dtypes]

    def case(self, case_id: str) -> Case | None:
        """The golden case of an id, None where there is none."""
        return next((case for case in self.cases if case.id == case_id), None)
