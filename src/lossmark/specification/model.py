"""The shape of a spec file, and of ``edges.yaml``, as pydantic models; ``specs/schema.json`` is generated from them.

The models check form (keys, types, canonical numbers); what needs the formula or the shapes of other keys is checked
by ``lossmark.specification.assemble``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from . import hexfloat as numbers

_NUMBER_SCHEMA = {
    "type": "string",
    "pattern": r"^(-?0x[01](\.[0-9a-f]{1,13})?p[+-][0-9]{1,4}|nan|inf|-inf)$",
    "description": 'a float64 as a quoted C99 hex float ("0x1.8p+0"), "nan", "inf" or "-inf"',
}


def _number(value: Any) -> str:
    numbers.parse(value)
    return str(value)


def _leaf(value: Any) -> Any:
    """A number of an input: a hex float, or a plain integer for a hard label."""
    if type(value) is int:
        return value
    return _number(value)


Number = Annotated[str, PlainValidator(_number), WithJsonSchema(_NUMBER_SCHEMA)]
Leaf = Annotated[str | int, PlainValidator(_leaf), WithJsonSchema({"anyOf": [_NUMBER_SCHEMA, {"type": "integer"}]})]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
CaseId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*/[a-z0-9][a-z0-9.-]*$")]
Axis = Annotated[str, Field(pattern=r"^[A-Z]$")]
LONGEST_AXIS = 1 << 18
"""The most entries that an axis of a family, or of a golden case in structured rows, may have."""
Length = Annotated[int, Field(ge=1, le=LONGEST_AXIS)]
Kind = Literal["embedding", "score", "distance", "logits", "label", "index", "probability", "weight", "mask", "number"]
DTypeName = Literal["float64", "float32", "bfloat16", "float16"]


class Strict(BaseModel):
    """No unknown keys, no conversions, no changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Source(Strict):
    """Where the formula is from."""

    document: str
    section: str
    also: list[str] = []


class IndexLabel(Strict):
    """A label that is the number of an entry along the axis ``index``.

    ``ignore`` names the parameter whose value marks the rows that do not count.
    """

    index: Axis
    ignore: Slug | None = None


PlainLabel = Literal["mask", "class"]
"""A label whose name says all of it.

A ``mask`` is 1 where something counts and 0 where it does not: there every input with its axes may hold anything. A
``class`` is any whole number, and which examples have the same is all that matters.
"""


class InputModel(Strict):
    """An argument with the axes ``dims`` in the order of memory: ``B`` is the batch, any other a capital letter.

    One number that all examples share has none: ``dims: []``.

    ``kind`` says what its numbers are: some edges concern a kind.
    """

    dims: Literal["B"] | list[Axis]
    kind: Kind | None = None
    label: IndexLabel | PlainLabel | None = None
    optional: Literal[True] | None = None
    """It may be left out of a call, and every number of it then is ``default``."""
    default: Annotated[int, Field(ge=0, le=1)] | None = None
    meaning: str


class ParamModel(Strict):
    """A keyword parameter: a finite number, not below ``at_least`` where that is given, or one of ``choices``."""

    default: str
    at_least: Number | None = None
    choices: Annotated[list[str], Field(min_length=1)] | None = None


class Association(Strict):
    """An equal evaluation of the loss that holds for some values of the parameters only."""

    loss: str
    when: dict[Slug, str]


class FormulaModel(Strict):
    """The loss of one example, in the formula language; ``where`` names terms in order.

    ``textbook`` is the same loss as many write it, in a form that loses digits which ``loss`` keeps.
    """

    where: dict[Slug, str] = {}
    loss: str
    textbook: str | None = None
    associations: list[str | Association] = []


class ReductionModel(Strict):
    """The mean where it is not over the batch: ``sum(loss, B)/sum(x, B)``, with x of no differentiated input."""

    mean: str


class CurveModel(Strict):
    """The line along which the loss is drawn (D = 1): one input moves between two ends, the others are fixed.

    A curve is drawn for each value of a label. ``axis`` says what the moving input then stands for.
    """

    axis: Annotated[str, Field(min_length=1)]
    along: Slug
    ends: Annotated[list[Number], Field(min_length=2, max_length=2)]
    fixed: dict[Slug, Number] = {}


class Between(Strict):
    """Any number of an interval conforms (the gradient at a kink)."""

    between: Annotated[list[Number], Field(min_length=2, max_length=2)]


class OneOf(Strict):
    """Each of several numbers conforms."""

    one_of: Annotated[list[Number], Field(min_length=2)]


ExpectedLeaf = Number | Between | OneOf


class Expect(Strict):
    """Certified values, written by ``lossmark certify``; or the error that a bad input is refused with."""

    value: list[ExpectedLeaf] | None = None
    mean: ExpectedLeaf | None = None
    grad: (
        dict[Slug, ExpectedLeaf | list[ExpectedLeaf] | list[list[ExpectedLeaf]] | list[list[list[ExpectedLeaf]]]] | None
    ) = None
    error: Literal["ValueError", "TypeError"] | None = None


Leaves = dict[Slug, Leaf | list[Leaf] | list[list[Leaf]] | list[list[list[Leaf]]]]


class RowsModel(Strict):
    """Inputs with a long axis that repeats few entries, in an order that the seed gives.

    ``inputs`` hold each distinct entry of the ``axis`` once, ``counts`` how often it occurs. An index is the number of
    a distinct entry, which occurs once.
    """

    axis: Axis
    counts: Annotated[list[Length], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    inputs: Leaves


class CaseModel(Strict):
    """One golden case, with ``inputs`` or ``rows``. The checks that are made once per loss are made on the ``host``.

    An input that is optional may be left out.
    """

    id: CaseId
    since: str
    flags: list[str] = []
    why: Annotated[str, Field(min_length=1)]
    host: bool = False
    dtypes: list[DTypeName] | None = None
    params: dict[Slug, str] = {}
    inputs: Leaves | None = None
    rows: RowsModel | None = None
    expect: Expect = Expect()


class FamilyModel(Strict):
    """Seeded random cases of one shape, drawn in the dtype under test; a list is the shape ``[B, D]``.

    With ``borders`` rows are searched that bring operations of the formula just inside the range of the format. With
    ``simplex`` numbers are normal, and the soft labels of an example are a distribution.
    """

    id: CaseId
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    shape: Annotated[list[Length], Field(min_length=2, max_length=2)] | dict[Axis, Length]
    distribution: Literal["normal", "uniform", "borders", "simplex"]
    scale: Number
    params: dict[Slug, str] = {}
    optional: list[Slug] = []
    """The optional inputs that are drawn too."""
    full: bool = False


class PropertyModel(Strict):
    """A law: what becomes of the loss when inputs or parameters are replaced by expressions over them.

    ``t`` is any vector (any number for a loss without vectors), ``k`` any number.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z-]*$")]
    why: Annotated[str, Field(min_length=1)]
    when: dict[Slug, str] = {}
    given: Annotated[dict[Slug, str], Field(min_length=1)]
    becomes: str = "loss"
    at_least: str | None = None


class SpecModel(Strict):
    """A loss: what it computes, and the cases that an implementation is held against."""

    lossmark: Literal[1]
    loss: Slug
    title: str
    since: str
    source: Source
    summary: str
    axes: dict[Axis, Literal["B"]] = {}
    """Axes that run over the batch again: ``J`` for the other example of a pair."""
    inputs: Annotated[dict[Slug, InputModel], Field(min_length=1)]
    params: dict[Slug, ParamModel] = {}
    formula: FormulaModel
    reduction: ReductionModel | None = None
    gradient_of: Annotated[list[Slug], Field(min_length=1)]
    curve: CurveModel | None = None
    flags: dict[str, str] = {}
    properties: list[PropertyModel] = []
    families: list[FamilyModel] = []
    cases: list[CaseModel]


class Concerns(Strict):
    """Which losses an edge concerns: those of which any one entry of any key is true."""

    operations: list[str] = []
    """An operation of the formula."""
    kinds: list[Kind] = []
    """The kind of an input."""
    labels: list[Literal["hard", "soft", "class", "index"]] = []
    """A label that the formula compares (hard), compares with those of others (class), computes with (soft) or picks by
    (index)."""
    params: list[Slug] = []
    """The name of a parameter."""
    choices: dict[Slug, str] = {}
    """A parameter and one of its choices."""
    parametrised: Literal[True] | None = None
    """Any parameter at all."""
    differentiated: Annotated[int, Field(ge=1)] | None = None
    """At least so many inputs that the loss is differentiated by."""


class EdgeModel(Strict):
    """An entry of ``edges.yaml``; without ``concerns`` it concerns every loss."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    title: Annotated[str, Field(min_length=1)]
    flags: Annotated[list[str], Field(min_length=1)] | None = None
    check: Annotated[str, Field(min_length=1)] | None = None
    concerns: Concerns | None = None


class EdgesModel(Strict):
    """The file ``edges.yaml``."""

    edges: Annotated[list[EdgeModel], Field(min_length=1)]
