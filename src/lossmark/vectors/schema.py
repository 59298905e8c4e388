"""The form of a file of vectors, as pydantic models; the published JSON schema is generated from them.

Arrays are flat lists in the order of memory (row-major), numbers of the results hex floats, elements of an array known
by their place in its list. What the keys mean is here, word for word as the schema and the documentation have it.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from ..specification.model import CaseId, DTypeName, Kind, Number, Slug, Strict

FORMAT = 1
"""The version of the format: another number where a reader of this one would misread a file."""
Reduction = Literal["none", "sum", "mean"]
ElementPlace = Annotated[int, Field(ge=0)]
"""The place of an element in a flat list."""


class VectorInput(Strict):
    """An argument of the loss: its axes in the order of memory, ``B`` the batch.

    ``default`` is what every number of it stands for where a call leaves it out. ``gradient`` says whether the loss is
    differentiated by it. ``ignored_by`` names the parameter whose value in an index marks a row that does not count.
    """

    name: Slug
    dims: list[str]
    kind: Kind | None
    label: Literal["hard", "soft", "class", "index"] | None
    ignored_by: Slug | None = None
    default: Number | None = None
    gradient: bool
    meaning: str


class VectorParameter(Strict):
    """A keyword parameter: a number with its smallest value if it has one, an integer, or one of ``choices``."""

    default: str | int
    at_least: Number | None = None
    choices: list[str] | None = None


class VectorFormula(Strict):
    """The loss of one example in the formula language; ``where`` names terms in order.

    ``mean`` is there where the mean is not over the batch.
    """

    where: dict[Slug, str]
    loss: str
    mean: str | None = None


class VectorDType(Strict):
    """A number format.

    ``room`` is what an element of a gradient may lose beside its bound because one part of it underflowed.
    """

    room: Number


class FlatArray(Strict):
    """An array: its shape, and its numbers in row-major order. A plain integer is a label that is written as one."""

    shape: list[ElementPlace]
    data: list[Number | int]


class ExactNumbers(Strict):
    """Exact numbers: the float64 nearest to each, and what is left of it, so that both together have over 100 bits."""

    exact: list[Number]
    rest: list[Number]


class VectorExpected(Strict):
    """The exact value of each reduction, and the gradient of each by every input that has one.

    The gradient of ``none`` is that of the sum of the losses times ``weights``. At a kink it is that of one side.
    """

    weights: list[Number]
    value: dict[Reduction, ExactNumbers]
    gradient: dict[Reduction, dict[Slug, ExactNumbers]]


class Alternative(Strict):
    """Other numbers that conform at some elements: ``exact`` itself, or a number within ``bound`` of it.

    ``grade`` says what is lost by an implementation that gives one, and is empty where nothing is.
    """

    grade: str
    at: list[ElementPlace]
    exact: list[Number]
    rest: list[Number]
    bound: list[Number]


class AllowedNumbers(Strict):
    """What conforms, for each element: a number within its ``bound`` of the exact one, or the same infinity or NaN.

    Anything conforms at the elements ``any``; at those of ``also`` the infinity or NaN that it names, too.
    """

    bound: list[Number]
    any: list[ElementPlace] = Field(default_factory=list)
    also: dict[Literal["nan", "inf", "-inf"], list[ElementPlace]] = Field(default_factory=dict)
    alternatives: list[Alternative] = Field(default_factory=list)


class NotJudged(Strict):
    """A result that is not judged, and why."""

    unjudged: str


class KinkedGradient(Strict):
    """The gradient by one input in the kinked rows, one after the other.

    ``lower`` has every place on its lower side, ``upper`` a list for each place, which alone is on its upper side;
    ``room`` is the error that conforms between the sides.
    """

    lower: list[Number]
    upper: list[list[Number]]
    room: list[Number]


class KinkedRows(Strict):
    """Examples with kinks whose side cannot be told. Elements that differ between the sides are judged by this alone.

    Such a row conforms if there is one λ in [0, 1] for each of its places, shared by all inputs, so that every element
    is near lower + Σ λ·(upper - lower): within its bound, or within ``room`` if more than one place moves elements, or
    if λ can neither be 0 nor 1.
    """

    rows: list[ElementPlace]
    gradient: dict[Slug, KinkedGradient]


class AllowedGradients(Strict):
    """What conforms as the gradients of one reduction; they are judged together."""

    gradient: dict[Slug, AllowedNumbers]
    kinks: KinkedRows | None = None


class AllowedResults(Strict):
    """What conforms in one dtype, by reduction."""

    value: dict[Reduction, AllowedNumbers | NotJudged]
    gradient: dict[Reduction, AllowedGradients | NotJudged]


class VectorCase(Strict):
    """One golden case. ``since`` is the version that brought it; an id is never given to another.

    An input that is missing is left out of the call, and so is a parameter. Of a case that must be ``refused`` that is
    the exception; any other has what is ``expected``, and in each dtype what is ``allowed``.
    """

    id: CaseId
    since: str
    flags: list[str]
    why: str
    params: dict[Slug, str | int]
    inputs: dict[Slug, FlatArray]
    dtypes: list[DTypeName]
    refused: Literal["ValueError", "TypeError"] | None = None
    expected: VectorExpected | None = None
    allowed: dict[DTypeName, AllowedResults] = Field(default_factory=dict)


class LeftOut(Strict):
    """A golden case that is not in the file, and why."""

    id: CaseId
    since: str
    why: str


class VectorFile(Strict):
    """The vectors of one loss: what it computes, and every golden case with all that conforms in each dtype."""

    schema_: Annotated[Literal["schema.json"], Field(alias="$schema")]
    format: Literal[1]
    lossmark: str
    loss: Slug
    title: str
    since: str
    summary: str
    formula: VectorFormula
    inputs: list[VectorInput]
    params: dict[Slug, VectorParameter]
    flags: dict[str, str]
    dtypes: dict[DTypeName, VectorDType]
    cases: list[VectorCase]
    left_out: list[LeftOut]


def schema() -> dict[str, Any]:
    """The JSON schema of a file of vectors."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "lossmark vectors"}
    return head | {key: part for key, part in VectorFile.model_json_schema().items() if key != "title"}


def schema_text() -> str:
    """The text of the file ``schema.json`` that lies beside the vectors."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
