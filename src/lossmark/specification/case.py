"""Calls that a loss is held to: golden cases, whose numbers its spec writes, and families, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..dtypes import DTYPES, F64
from ..formula.tree import BATCH, EMBEDDING, Dims, Input, Sizes, shape_of
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
class Repeats:
    """How a batch repeats few rows and columns: ``rows`` ``[B]`` and ``columns`` ``[D]`` number the distinct ones.

    The numbers are 0, 1, 2, …, and each of them occurs. Where no column occurs twice ``columns`` is None.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp] | None

    def expand(self, array: NDArray[Any]) -> NDArray[Any]:
        """Distinct rows and columns ``[K, N]``, or distinct rows ``[K]``, as the whole batch."""
        wide = array.take(self.columns, axis=1) if array.ndim == 2 and self.columns is not None else array
        return wide.take(self.rows, axis=0)

    def distinct(self, array: F64) -> F64:
        """The distinct rows and columns of a batch ``[B, D]``, or the distinct rows of ``[B]``."""
        rows = array[np.unique(self.rows, return_index=True)[1]]
        if array.ndim != 2 or self.columns is None:
            return rows
        return rows[:, np.unique(self.columns, return_index=True)[1]]


@dataclass(frozen=True)
class Case:
    """Inputs of one call, as float64 arrays with the axes ``dims``; ``integer`` names labels written as integers.

    ``params`` holds only what the case gives; the rest is left to the defaults. ``absent`` names the optional inputs
    that are left out of the call; ``inputs`` has the numbers that they then stand for. ``error`` names the exception
    that the input must be refused with. ``golden`` is the case as the spec writes it, None for a case that was drawn.
    ``repeats`` says how a batch repeats its rows; None where no row is known to occur twice. ``few`` is the case of the
    distinct entries of a long axis that it was expanded from; of that, ``counts`` says how often each entry occurs.
    """

    id: str
    loss: str
    params: Parameters
    inputs: Mapping[str, F64]
    dims: Mapping[str, Dims]
    flags: tuple[str, ...] = ()
    why: str = ""
    dtypes: tuple[str, ...] = tuple(DTYPES)
    integer: frozenset[str] = frozenset()
    error: str | None = None
    golden: CaseModel | None = field(default=None, repr=False, compare=False)
    repeats: Repeats | None = field(default=None, repr=False, compare=False)
    absent: frozenset[str] = frozenset()
    few: Case | None = field(default=None, repr=False, compare=False)
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def certifiable(self) -> Case:
        """The case whose numbers a spec holds: itself, or the few entries that it was expanded from."""
        return self.few or self

    @property
    def batch(self) -> int:
        """B, the number of examples; of the shortest input where the batches do not fit."""
        return min(len(array) for name, array in self.inputs.items() if self.by_example(name))

    def by_example(self, name: str) -> bool:
        """Whether each example has numbers of its own of an input."""
        return BATCH in self.dims[name]

    def with_rows(self, change: Callable[[F64], F64]) -> dict[str, F64]:
        """The inputs, of which ``change`` makes other rows; what all examples share stays."""
        return {name: change(array) if self.by_example(name) else array for name, array in self.inputs.items()}

    @property
    def sizes(self) -> Sizes:
        """How long each axis is, the batch first; as the first input says that has the axis."""
        found: dict[str, int] = {}
        for name, array in self.inputs.items():
            for axis, size in zip(self.dims[name], array.shape, strict=False):
                found.setdefault(axis, size)
        return found

    @property
    def case_class(self) -> CaseClass | Literal["family"]:
        """The class that the flags of a golden case put it in; ``"family"`` for a case that was drawn."""
        if self.golden is None:
            return "family"
        return next((CLASS_FLAGS[flag] for flag in self.flags if flag in CLASS_FLAGS), "adversarial")

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, D), (B, N, D), or (B,) for a loss without embeddings: that of its first input with the most axes."""
        return max((array.shape for array in self.inputs.values()), key=len)

    @property
    def width(self) -> int:
        """How long the last axis beside the batch is; 1 where there is none."""
        return self.shape[-1] if len(self.shape) > 1 else 1

    @property
    def longest(self) -> int:
        """How long the longest axis beside the batch is; 1 where there is none."""
        return max((length for axis, length in self.sizes.items() if axis != BATCH), default=1)

    @property
    def distinct(self) -> Case:
        """The case with every row and column once; itself where nothing is known to repeat."""
        if self.repeats is None:
            return self
        return replace(self, inputs=self.with_rows(self.repeats.distinct), repeats=None)


@dataclass(frozen=True)
class Family:
    """A seeded random case of one shape; ``full`` families run only under ``--full``."""

    model: FamilyModel
    params: Parameters

    @property
    def id(self) -> str:
        """The id that the spec gives it, which its case has too."""
        return self.model.id

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis, the batch first."""
        return tuple(self.sizes.values())

    @property
    def sizes(self) -> Sizes:
        """How long each axis is."""
        shape = self.model.shape
        if isinstance(shape, dict):
            return {BATCH: shape[BATCH], **shape}
        return dict(zip((BATCH, EMBEDDING), shape, strict=True))

    @property
    def full(self) -> bool:
        """Whether it is run only under ``--full``."""
        return self.model.full


@dataclass(frozen=True)
class Embedded:
    """Golden cases with the same parameters among the rows of a larger batch ``shape``, (B, D) or (B,).

    ``beyond`` says whose rows are the edges: those of cases with numbers beside which all others drown in sum and mean,
    NaN and infinities among them, or those of all others. ``dtypes`` names the dtypes for which there are such cases.
    ``full`` ones run only under ``--full``.
    """

    id: str
    shape: tuple[int, ...]
    parts: tuple[Case, ...]
    dtypes: tuple[str, ...]
    beyond: bool = False
    full: bool = False

    @property
    def many(self) -> bool:
        """Whether it has so many rows that a right loop over them may take longer than a cell has."""
        return self.shape[0] > 1 << 13

    @property
    def params(self) -> Parameters:
        """The parameters of all its parts."""
        return self.parts[0].params


Planned = Case | Family | Embedded
"""A case of a plan: golden, or one to be made in the dtype under test."""


def left_out(item: Input, sizes: Sizes) -> F64:
    """The numbers that an optional input has where a call leaves it out."""
    return np.full(shape_of(item.dims, sizes), item.optional)


def param_value(text: str) -> Param:
    """A parameter as the call gets it: a number where it is written as one, else the text."""
    try:
        return numbers.parse(text)
    except ValueError:
        return text
