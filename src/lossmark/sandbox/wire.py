"""Messages as bytes: plain data with a schema, so that reading them runs nobody's code.

A frame is a prefix, a header and the arrays that the header names, as raw bytes in their order:

    prefix   magic, PROTOCOL, bytes of the header, bytes of all arrays
    header   msgpack: (token, message); a message is (name of its class, its fields …), an array (dtype, shape …)

The reader is made from the types of the fields: what a field's type does not allow is refused with :class:`Unfit`, and
so is a frame that is too large. Sequences arrive as tuples.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import msgpack
import numpy as np

from .messages import PROTOCOL
from .schema import ALIGNED, NAMES, Arrays, Pairs, Unfit, announced, announcement, reader

MAGIC = b"\x00\x00\x00\x04\xffLM1"
"""Revisions whose messages were pickles take this for a pickle of four bytes, which fails at once: they end, and do
not wait for more."""
PREFIX = struct.Struct(f">{len(MAGIC)}s{len(PROTOCOL)}sIQ")
MOST_HEADER = 1 << 20
"""Bytes of a header; a thousand arrays take 30 KiB."""
MOST_BYTES = 2 << 30
"""Bytes of all arrays of a frame; the gradients of 262144 x 128 examples in float64 by three inputs are 0.75 GiB."""
MOST_ITEMS = 8192
"""Elements of any sequence or mapping of a header: msgpack makes room for as many before it reads them."""
JOINED = 1 << 16
"""Pieces of fewer bytes are joined, so that they are sent together."""

Buffer: TypeAlias = bytes | memoryview
Fill = Callable[[memoryview], None]
"""Fills a buffer with the next bytes; raises EOFError where there are no more."""


class OtherMessages(Unfit):
    """A frame of a revision whose messages consist of other fields."""


def pack(message: object, token: bytes = b"") -> Iterator[Buffer]:
    """The frame of a message in pieces, large arrays as views of their own memory.

    ``token`` tells to which question a reply belongs. Raises TypeError for what cannot be sent.
    """
    arrays: list[Buffer] = []
    size = 0

    def plain(value: object) -> object:
        nonlocal size
        if isinstance(value, np.ndarray):
            name = NAMES.get(value.dtype)
            if name is None:  # of another byte order, if it is data at all
                value = value.astype(value.dtype.newbyteorder("="))
                name = NAMES.get(value.dtype)
            if name is None:
                raise TypeError(f"an array of {value.dtype} is no data")
            arrays.append(b"\0" * (-size % ALIGNED))
            arrays.append(value.tobytes() if value.nbytes < JOINED else _view(value))
            size += len(arrays[-1]) + len(arrays[-2])
            return announcement(name, value.shape)
        if is_dataclass(value):
            return (type(value).__name__, *[getattr(value, name) for name in value.__dataclass_fields__])
        if isinstance(value, Mapping):
            return dict(value)
        if isinstance(value, (Path, np.dtype)):
            return str(value)
        raise TypeError(f"{type(value).__name__} is no data")

    header = msgpack.packb((token, message), default=plain, unicode_errors="surrogatepass", buf_size=JOINED)
    return _joined([PREFIX.pack(MAGIC, PROTOCOL, len(header), size), header, *arrays])


def _view(array: np.ndarray[Any, Any]) -> memoryview:
    """The bytes of an array, which are copied only where they do not lie in C order."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _joined(pieces: list[Buffer]) -> Iterator[Buffer]:
    small: list[Buffer] = []
    for piece in pieces:
        if len(piece) < JOINED:
            small.append(piece)
            continue
        yield b"".join(small)
        small = []
        yield piece
    if small:
        yield b"".join(small)


def unpack(fill: Fill, *kinds: type) -> tuple[bytes, Any]:
    """The token and the message of the next frame, which is of one of these classes.

    Raises :class:`Unfit`, and whatever ``fill`` raises.
    """
    prefix = bytearray(PREFIX.size)
    fill(memoryview(prefix))
    magic, protocol, length, size = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise Unfit(f"no frame begins with {bytes(prefix[:8])!r}")
    if protocol != PROTOCOL:
        raise OtherMessages("a frame of another revision")
    if length > MOST_HEADER or size > MOST_BYTES:
        raise Unfit(f"a frame announces {length} and {size} bytes, at most {MOST_HEADER} and {MOST_BYTES} are read")
    header = bytearray(length)
    fill(memoryview(header))
    arrays = Arrays(size)
    token, message = _read(header, kinds, arrays)
    fill(arrays.memory())
    return token, message


def _read(header: bytearray, kinds: tuple[type, ...], arrays: Arrays) -> tuple[bytes, Any]:
    try:
        found = msgpack.unpackb(
            header, use_list=False, object_pairs_hook=Pairs, strict_map_key=False, unicode_errors="surrogatepass",
            max_array_len=MOST_ITEMS, max_map_len=MOST_ITEMS, ext_hook=announced,
        )  # fmt: skip
    except Exception as error:  # msgpack has no base class for what it raises
        _refuse(error)
    match found:
        case (bytes(token), (str(name), *_) as message):
            for kind in kinds:
                if kind.__name__ == name:
                    return token, reader(kind)(message, arrays)
            raise Unfit(f"{name[:40]!r} is not expected, but {' or '.join(kind.__name__ for kind in kinds)}")
    raise Unfit("no token and message")


def _refuse(error: Exception) -> NoReturn:
    raise Unfit(f"no msgpack: {type(error).__name__}: {error}"[:200]) from None
