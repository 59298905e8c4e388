"""The protocol for programs of any language: one line of JSON asks, one line of JSON answers. Version 1.

    {"id": 0, "lossmark": 1}                                    what do you have?
    {"id": 0, "lossmark": 1, "losses": {…}, "gradients": […], "dtypes": […]}

    {"id": 7, "loss": "huber", "inputs": {…}, "params": {…}, "reduction": "none", "gradient": ["x"], "weights": {…}}
    {"id": 7, "value": {…}, "gradient": {"x": {…}}}             or "error": why, or "unsupported": why

An array is {"dtype": …, "shape": […], "data": …}; whatever its dtype, ``data`` is its numbers as float64, in base64.
That is exact for every dtype, NaN and infinities included, is read by two calls in most languages, and is cheap: a
million numbers are one text. What an answer may be is said by the models below; anything else is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import ml_dtypes
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .messages import Array, Failure, Outcome, Returned
from .schema import MOST_AXES, Unfit

PROTOCOL_VERSION = 1
"""Another number where a program of this version would misread a question, or lossmark its answer."""
MOST_BEYOND = 16 << 20
"""Bytes that an answer may have beyond twice those of its question: a batch against itself is more than was asked for,
and is to be told from an endless line."""
MOST_PARTS = 1 << 16
"""Commas and brackets of an answer, whose numbers have none: nobody makes room for a million empty lists."""
NumberFormat = Literal[
    "float64", "float32", "bfloat16", "float16",
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
]  # fmt: skip
MOST_ALONG_AN_AXIS = 1 << 40
"""An axis of an array has at most so many: more fit into no answer, and a number of thousands of digits is none."""
Ordinal = Annotated[int, Field(ge=0, lt=1 << 53)]
Words = Annotated[str, Field(max_length=1 << 20)]
Name = Annotated[str, Field(max_length=200)]


class Declined(Failure):
    """A call that the program says it does not support. Made by the judge, and never sent."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class SentArray(_Line):
    """An array: its dtype, its shape, and its numbers in row-major order as float64, little-endian, in base64."""

    dtype: NumberFormat
    shape: Annotated[list[Annotated[int, Field(ge=0, le=MOST_ALONG_AN_AXIS)]], Field(max_length=MOST_AXES)]
    data: str


class Greeting(_Line):
    """What a program has: losses with the keywords that they take beside their inputs, losses with a gradient, dtypes.

    Keywords are parameters, optional inputs, and ``reduction``.
    """

    id: Ordinal
    lossmark: Ordinal
    losses: dict[Name, list[Name]]
    gradients: list[Name]
    dtypes: list[Literal["float64", "float32", "bfloat16", "float16"]]


class Answered(_Line):
    """An answer: ``value``, with ``gradient`` where it is asked for; or ``error``, or ``unsupported``, alone."""

    id: Ordinal
    value: SentArray | None = None
    gradient: dict[str, SentArray] | None = None
    error: Words | None = None
    unsupported: Words | None = None


_Kind = TypeVar("_Kind", Greeting, Answered)


def greeting(number: int) -> bytes:
    """The line that asks a program what it has."""
    return _line({"id": number, "lossmark": PROTOCOL_VERSION})


def question(
    number: int, loss: str, keywords: Mapping[str, Any], gradient: Sequence[str] = (), weights: Array | None = None
) -> bytes:
    """The line that asks for the value of a loss, and for its gradient by some inputs.

    ``keywords`` are those of the call: arrays are its inputs, the others its parameters. ``weights`` [B] are those of
    the examples, whose losses times them the gradient is of, where the loss is not reduced.
    """
    inputs = {name: _sent(value) for name, value in keywords.items() if isinstance(value, np.ndarray)}
    params = {name: _number(value) for name, value in keywords.items() if name not in inputs and name != "reduction"}
    record = {"id": number, "loss": loss, "inputs": inputs, "params": params}
    if "reduction" in keywords:
        record["reduction"] = keywords["reduction"]
    if gradient:
        record["gradient"] = list(gradient)
        if weights is not None:
            record["weights"] = _sent(weights)
    return _line(record)


def most_bytes(asked: bytes) -> int:
    """The bytes that the answer to a line may have."""
    return 2 * len(asked) + MOST_BEYOND


def greeted(line: bytes, number: int) -> Greeting:
    """What a program says that it has; raises :class:`Unfit` for anything else, and for another version."""
    found = _read(line, Greeting, number)
    if found.lossmark != PROTOCOL_VERSION:
        raise Unfit(f"version {found.lossmark} of the protocol; this is version {PROTOCOL_VERSION}")
    return found


def answered(line: bytes, number: int, gradient: Sequence[str] = ()) -> tuple[Outcome, Mapping[str, Array] | Failure]:
    """The value of an answer and its gradient by name, or why there is none; raises :class:`Unfit`."""
    found = _read(line, Answered, number)
    given = [key for key in ("value", "error", "unsupported") if getattr(found, key) is not None]
    if len(given) != 1:
        raise Unfit(f"an answer has one of value, error and unsupported, this one {' and '.join(given) or 'none'}")
    if found.value is None:
        failure = _failure(found)
        return failure, failure
    missing = [name for name in gradient if name not in (found.gradient or {})]
    if missing:
        raise Unfit(f"an answer without the gradient by {missing[0]!r}, which was asked for")
    arrays = {name: _array(f"gradient by {name}", found.gradient[name]) for name in gradient if found.gradient}
    value = _array("value", found.value)
    outcome = value if isinstance(value, Failure) else Returned(value, True, str(value.dtype), value.shape, "cpu")
    wrong = next((array for array in arrays.values() if isinstance(array, Failure)), None)
    return outcome, wrong or {name: array for name, array in arrays.items() if not isinstance(array, Failure)}


def _failure(found: Answered) -> Failure:
    text = " ".join((found.unsupported or found.error or "")[:5000].split())[:500]
    if found.unsupported is not None:
        return Declined("raised", "", text or "the program does not say why")
    return Failure("raised", "", text or "an error without a word")


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def _sent(array: Array) -> dict[str, Any]:
    with np.errstate(invalid="ignore"):  # a NaN may be a signalling one
        data = base64.b64encode(array.astype("<f8").tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def _number(value: Any) -> Any:
    """A parameter as JSON can write it: a number that is not finite is a text."""
    if isinstance(value, (bool, str, int)):
        return value
    return float(value) if math.isfinite(value) else str(float(value))


def _array(what: str, sent: SentArray) -> Array | Failure:
    """The array in its dtype, or a failure where it has other numbers; raises :class:`Unfit`."""
    try:
        data = base64.b64decode(sent.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unfit(f"{what}: no base64: {error}") from None
    if len(data) != 8 * math.prod(sent.shape):
        raise Unfit(f"{what}: {len(data)} bytes of data, where 8 for each number of shape {sent.shape} were expected")
    try:
        wide = np.frombuffer(data, "<f8").reshape(sent.shape).astype(np.float64)
    except ValueError as error:  # no numbers, along axes that are too long together
        raise Unfit(f"{what}: shape {sent.shape}: {error}") from None
    with np.errstate(all="ignore"):
        array = wide.astype(ml_dtypes.bfloat16 if sent.dtype == "bfloat16" else sent.dtype)
        held = (array.astype(np.float64) == wide) | (np.isnan(wide) & np.isnan(array.astype(np.float64)))
    if not held.all():
        return Failure("raised", "", f"{what}: {float(wide[~held][0])!r} is no number of {sent.dtype}: round it")
    return array


def _read(line: bytes, kind: type[_Kind], number: int) -> _Kind:
    parts = sum(map(line.count, (b",", b"[", b"{")))
    if parts > MOST_PARTS:
        raise Unfit(f"a line of {parts} commas and brackets, at most {MOST_PARTS} are read")
    try:
        found = kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))[:100]
        seen = "" if place else f", in {line[:60]!r}"
        raise Unfit(f"{place + ': ' if place else ''}{first['msg'][:200]}{seen}") from None
    try:
        json.loads(line, object_pairs_hook=_once)  # of equal keys the model has seen the last alone
    except (ValueError, RecursionError) as error:
        raise Unfit(f"a line that is no JSON to everybody: {error!s:.200}") from None
    if found.id != number:
        raise Unfit(f"an answer to question {found.id}, asked was {number}")
    return found


def _once(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    """The keys and values of an object; raises :class:`Unfit` where a key stands in it twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Unfit(f"the key {key[:100]!r} stands twice in one object")
        found[key] = value
    return found
