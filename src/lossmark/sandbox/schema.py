"""Readers of plain data by the type that it must have; what does not have it is refused.

A reader takes what msgpack has made of bytes and makes a value of the type: a dataclass from a tuple of its name and
its fields, a mapping from its pairs, an array from its dtype and shape. The depth of a type bounds that of its values.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgpack
import numpy as np

ARRAY = 1
"""The extension type of msgpack that announces an array."""
_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_FLOATS = [np.dtype(kind).name for kind in ("float16", "float32", "float64", "longdouble", "complex64", "complex128")]
DTYPES = frozenset(["bool", "bfloat16", *_INTEGERS, *_FLOATS])
"""The dtypes, by name, of arrays that are data."""
MOST_AXES = 32


class Unfit(Exception):  # noqa: N818 (an outcome, not an error)
    """Bytes that are no message, and why."""


class Pairs(tuple[tuple[Any, Any], ...]):
    """A mapping as msgpack reads it: its keys may be anything, and are not yet hashed."""

    __slots__ = ()


class Arrays:
    """The arrays of one frame, in their order; never more bytes than the frame announces."""

    def __init__(self, size: int):
        self._left = size
        self._made: list[np.ndarray[Any, Any]] = []

    def make(self, announced: object) -> np.ndarray[Any, Any]:
        """The array that a header announces, its numbers still to come. Raises :class:`Unfit`."""
        match _announcement(announced):
            case (str(name), *axes) if name in DTYPES:
                shape = [n for n in axes if type(n) is int and n >= 0]
                if len(shape) < len(axes):
                    raise Unfit("a shape that is none")
                dtype = np.dtype(name)
                self._left -= math.prod(shape) * dtype.itemsize
                if self._left < 0:
                    raise Unfit("arrays of more bytes than the frame has")
                try:
                    self._made.append(np.empty(shape, dtype))
                except (ValueError, OverflowError, MemoryError) as error:
                    raise Unfit(f"an array that cannot be made: {error}"[:200]) from None
                return self._made[-1]
        raise Unfit("an array of no known dtype")

    def whole(self) -> list[memoryview]:
        """The memory of the arrays. Raises :class:`Unfit` where the frame announces more bytes than they have."""
        if self._left:
            raise Unfit(f"{self._left} bytes that belong to no array")
        return [array.reshape(-1).view(np.uint8).data for array in self._made if array.size]


def _announcement(announced: object) -> object:
    if not isinstance(announced, msgpack.ExtType) or announced.code != ARRAY:
        return None
    try:
        return msgpack.unpackb(announced.data, use_list=False, max_array_len=MOST_AXES + 1, max_map_len=0)
    except Exception:  # msgpack has no base class for what it raises
        return None


Reader = Callable[[Any, Arrays], Any]
"""Makes a value of one type from plain data; raises :class:`Unfit`."""


@functools.cache
def reader(kind: Any) -> Reader:
    """The reader of a type: a dataclass, or what a field of one may be declared as."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return _anything
    if is_dataclass(kind):
        return _record(kind)
    if origin in (Union, types.UnionType):
        return _alternative(arguments)
    if origin is Literal:
        return _converted(str, lambda text: text if text in arguments else _unfit(kind))
    if origin is Mapping:
        return _mapping(*arguments)
    if origin in (tuple, Sequence):
        return _sequence(arguments[0])
    if origin is np.ndarray:
        return lambda value, arrays: arrays.make(value)
    if origin is np.dtype:
        return _converted(str, lambda name: np.dtype(name) if name in DTYPES else _unfit(kind))
    if kind is Path:
        return _converted(str, Path)
    if kind is float:
        return lambda value, arrays: float(value) if type(value) in (float, int) else _unfit(kind)
    assert kind in (str, bool, int, types.NoneType), kind
    return _converted(kind, lambda value: value)


def _unfit(kind: Any) -> Any:
    raise Unfit(f"a value that is no {getattr(kind, '__name__', kind)}")


def _converted(plain: type, make: Callable[[Any], Any]) -> Reader:
    return lambda value, arrays: make(value) if type(value) is plain else _unfit(plain)


def _record(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    readers = [reader(hints[field.name]) for field in fields(kind)]

    def read(value: Any, arrays: Arrays) -> Any:
        if type(value) is not tuple or len(value) != len(readers) + 1 or value[0] != kind.__name__:
            _unfit(kind)
        return kind(*(make(item, arrays) for make, item in zip(readers, value[1:], strict=True)))

    return read


def _alternative(kinds: Sequence[Any]) -> Reader:
    """The reader of a union, whose members differ in how they look as plain data."""
    members = [(_looks(kind), reader(kind)) for kind in kinds]

    def read(value: Any, arrays: Arrays) -> Any:
        for looks, make in members:
            if looks(value):
                return make(value, arrays)
        raise Unfit(f"a value that is none of {', '.join(getattr(kind, '__name__', str(kind)) for kind in kinds)}")

    return read


def _looks(kind: Any) -> Callable[[Any], bool]:
    if isinstance(kind, type) and is_dataclass(kind):
        name = kind.__name__
        return lambda value: type(value) is tuple and value[:1] == (name,)
    plain = {Mapping: Pairs, np.ndarray: msgpack.ExtType}.get(get_origin(kind) or kind, kind)
    return lambda value: type(value) is plain


def _mapping(key: Any, item: Any) -> Reader:
    keys, items = reader(key), reader(item)

    def read(value: Any, arrays: Arrays) -> Any:
        if type(value) is not Pairs:
            _unfit(Mapping)
        found = {keys(name, arrays): items(x, arrays) for name, x in value}
        return found if len(found) == len(value) else _unfit(Mapping)

    return read


def _sequence(item: Any) -> Reader:
    items = reader(item)

    def read(value: Any, arrays: Arrays) -> Any:
        return tuple(items(x, arrays) for x in value) if type(value) is tuple else _unfit(tuple)

    return read


def _anything(value: Any, arrays: Arrays, depth: int = MOST_AXES) -> Any:
    """Arguments of a call, which only the judge sends: numbers, texts, arrays, and tuples of them."""
    if type(value) is tuple and depth:
        return tuple(_anything(item, arrays, depth - 1) for item in value)
    return value if value is None or type(value) in (bool, int, float, str) else arrays.make(value)
