"""Readers of plain data by the type that it must have; what does not have it is refused.

A reader takes what msgpack has made of bytes and makes a value of the type: a dataclass from a tuple of its name and
its fields, a mapping from its pairs, an array from its dtype and shape. The depth of a type bounds that of its values.
"""

from __future__ import annotations

import functools
import math
import struct
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import ml_dtypes
import msgpack
import numpy as np

ARRAY = 1
"""The extension type of msgpack that announces an array."""
_KINDS = (
    *(np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
    *(np.float16, np.float32, np.longdouble, np.float64, np.complex64, np.complex128, ml_dtypes.bfloat16),
)
NAMES = {np.dtype(kind): np.dtype(kind).name for kind in _KINDS}
"""The dtypes of arrays that are data, in this machine's byte order, with their names."""
_KNOWN = {name: dtype for dtype, name in NAMES.items()}
_NAME = 12
"""Bytes of the name in an announcement."""
MOST_AXES = 32
ALIGNED = 16
"""Bytes; the largest element has as many."""


class Unfit(Exception):  # noqa: N818 (an outcome, not an error)
    """Bytes that are no message, and why."""


class Pairs(tuple[tuple[Any, Any], ...]):
    """A mapping as msgpack reads it: its keys may be anything, and are not yet hashed."""

    __slots__ = ()


class Announcement(bytes):
    """What a header says of an array: the name of its dtype, then its shape, 8 bytes an axis."""

    __slots__ = ()


def announcement(name: str, shape: tuple[int, ...]) -> msgpack.ExtType:
    """The announcement of an array, as msgpack writes it."""
    return msgpack.ExtType(ARRAY, struct.pack(f">{_NAME}s{len(shape)}Q", name.encode(), *shape))


def announced(code: int, data: bytes) -> Announcement:
    """The announcement that msgpack has read; raises :class:`Unfit` for another extension type."""
    return Announcement(data) if code == ARRAY else _unfit(Announcement)


@functools.lru_cache(1024)
def _parsed(found: bytes) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Dtype, shape and bytes of the array that is announced; raises :class:`Unfit`."""
    axes, rest = divmod(len(found) - _NAME, 8)
    dtype = _KNOWN.get(found[:_NAME].rstrip(b"\0").decode("ascii", "replace"))
    if dtype is None or rest or not 0 <= axes <= MOST_AXES:
        raise Unfit("an array of no known dtype or shape")
    shape = struct.unpack_from(f">{axes}Q", found, _NAME)
    return dtype, shape, math.prod(shape) * dtype.itemsize


class Arrays:
    """The arrays of one frame, in their order, in one piece of memory: each begins at a multiple of :data:`ALIGNED`.

    The system gives the memory as it is written. Raises :class:`Unfit` where there is none.
    """

    def __init__(self, size: int):
        self._end = 0
        try:
            self._memory = np.empty(size, np.uint8)
        except MemoryError:
            raise Unfit(f"no memory for {size} bytes") from None

    def make(self, found: object) -> np.ndarray[Any, Any]:
        """The array that a header announces, its numbers still to come. Raises :class:`Unfit`."""
        if type(found) is not Announcement:
            raise Unfit("a value that is no array")
        dtype, shape, size = _parsed(found[: _NAME + 8 * (MOST_AXES + 1)])
        start = self._end + -self._end % ALIGNED
        self._end = start + size
        if self._end > len(self._memory):
            raise Unfit("arrays of more bytes than the frame has")
        try:
            return np.ndarray(shape, dtype, self._memory, start)
        except (ValueError, OverflowError) as error:
            raise Unfit(f"an array that cannot be made: {error}"[:200]) from None

    def memory(self) -> memoryview:
        """The memory of all arrays. Raises :class:`Unfit` where the frame announces more bytes than they have."""
        if self._end != len(self._memory):
            raise Unfit(f"{len(self._memory) - self._end} bytes that belong to no array")
        return self._memory.data


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
        return _converted(str, lambda name: _KNOWN[name] if name in _KNOWN else _unfit(kind))
    if kind is Path:
        return _converted(str, Path)
    if kind is float:
        return lambda value, arrays: float(value) if type(value) in (float, int) else _unfit(kind)
    assert kind in (str, bool, int, types.NoneType), kind
    return lambda value, arrays: value if type(value) is kind else _unfit(kind)


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
        return kind(*[make(item, arrays) for make, item in zip(readers, value[1:], strict=True)])

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
    plain = {Mapping: Pairs, np.ndarray: Announcement}.get(get_origin(kind) or kind, kind)
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
