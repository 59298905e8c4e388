"""A message of every kind, and the frames that they and others are written in."""

import io
from dataclasses import fields
from pathlib import Path
from typing import get_args

import msgpack
import numpy as np

from lossmark.sandbox import wire
from lossmark.sandbox.messages import (
    Answer,
    Failure,
    Hello,
    Message,
    Probe,
    Probed,
    Reply,
    Returned,
    Stage,
    Staged,
    Start,
    Stored,
    Streamed,
    Streaming,
    Task,
    Timed,
    Timing,
    Watch,
    Watched,
    Weighed,
    Weighing,
)
from lossmark.sandbox.schema import NAMES

KINDS = (Hello, Start, *get_args(Message), *get_args(Reply))
NUMBERS = msgpack.ExtType(1, b"float64".ljust(12, b"\0") + (2).to_bytes(8, "big"))
"""Two numbers, as a header announces them."""
EVERY_DTYPE = {name: np.arange(6).reshape(2, 3).astype(dtype) for dtype, name in NAMES.items()}
FAILED = Failure("raised", "ValueError", "a message with \udcff and ≠")
ONE = Returned(np.array(1.5), True, "float32", (), "cpu")
MESSAGES = (
    Hello(("cpu", "gpu"), {"threads": "1"}),
    Start("numpy", ("a.py",)),
    Task("i", "bpr", {"margin": 1.0, "kind": "x", "n": (1, (None, True))}, EVERY_DTYPE, ("u",), np.ones(2),
         ("none", None), ("none",), "eager", "cpu", {"u": "v"}, "strided", 0.5, {"u": np.zeros((0, 3))}),
    Probe("i", "bpr", ({"u": np.ones(2), "reduction": None}, {}), "cpu"),
    Watch("i", "bpr", {"u": 1}, "cpu"),
    Stage("i", "bpr", ({"u": np.ones(3), "v": Stored(Path("/tmp/v"), np.dtype(np.float16), (2, 4))},), ("u",)),
    Timing(3, 2, core=None, turn=7),
    Weighing(True),
    Streaming(),
    Answer({None: ONE, "sum": FAILED}, {"sum": FAILED, None: EVERY_DTYPE}, {"mean": ONE}, ("u",)),
    Probed((ONE, FAILED, Returned(None, False, "NoneType", (), ""))),
    Watched(("a",), ()),
    Staged(),
    Timed(float("inf"), 3, ONE, {"u": np.ones((3, 2))}, (), {n: np.array(n) for n in range(20)}, 1.0),
    Timed(float("nan"), 3, FAILED, FAILED),
    Weighed(None, 3),
    Streamed(2e9),
)  # fmt: skip


def frame(message, token=b"12345678"):
    return b"".join(bytes(piece) for piece in wire.pack(message, token))


def read(data, *kinds):
    source = io.BytesIO(data)

    def fill(view):
        if source.readinto(view) != len(view):
            raise EOFError

    return wire.unpack(fill, *(kinds or KINDS))[1]


def headed(header, body=b""):
    """A frame with this header."""
    return wire.PREFIX.pack(wire.MAGIC, wire.PROTOCOL, len(header), len(body)) + header + body


def same(one, other):
    """Whether two values are the same: classes, dtypes, and every bit."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and type(other) is tuple and all(map(same, one, other))
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return type(one) is type(other) and repr(one) == repr(other)


def header(*message, token=b""):
    return msgpack.packb((token, message))
