"""Messages as bytes: what is sent arrives, what is no message is refused, and nothing that is read does anything.

LOSSMARK_FUZZ says how many broken frames are read (default 5,000), LOSSMARK_FUZZ_SEED where they begin.
"""

import os
import random
import resource
import time
from typing import get_args

import ml_dtypes
import msgpack
import numpy as np
import pytest

from lossmark.sandbox import wire
from lossmark.sandbox.messages import Probe, Reply, Watch
from lossmark.sandbox.schema import Unfit
from tests.frames import KINDS, MESSAGES, NUMBERS, frame, headed, header, read, same

INPUTS = int(os.environ.get("LOSSMARK_FUZZ", "5000"))
SEED = int(os.environ.get("LOSSMARK_FUZZ_SEED", "0"))
# -- what is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_sent_arrives(message):
    assert same(read(frame(message)), message)


def test_every_message_is_among_them():
    assert {type(message) for message in MESSAGES} == set(KINDS)


@pytest.mark.parametrize(
    "array",
    [np.arange(12.0).reshape(3, 4).T, np.arange(12.0)[::-2], np.arange(3, dtype=">f4"), np.array(2, ml_dtypes.bfloat16),
     np.arange(200_000, dtype=">f8").reshape(2, -1).T],
    ids=["transposed", "strided", "of another byte order", "without axes", "large"],
)  # fmt: skip
def test_arrays_arrive_by_their_numbers(array):
    (call,) = read(frame(Probe("i", "l", ({"x": array},), ""))).calls
    assert np.array_equal(call["x"], array)
    assert call["x"].dtype.isnative
    assert call["x"].flags.writeable
    assert call["x"].flags.aligned


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array(["a"]), np.array([None]), np.zeros(1, "M8[s]"), print])
def test_what_is_no_data_is_not_sent(value):
    with pytest.raises(TypeError, match="no data"):
        list(wire.pack(Watch("i", "l", {"x": value}, "")))


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x80\x04\x95" + bytes(100), "no frame begins with"),
        (bytes(100), "no frame begins with"),
        (wire.PREFIX.pack(wire.MAGIC, b"others", 0, 0), "another revision"),
        (wire.PREFIX.pack(wire.MAGIC, wire.PROTOCOL, 10, 4 << 30), "announces"),
        (wire.PREFIX.pack(wire.MAGIC, wire.PROTOCOL, 1 << 31, 0), "announces"),
        (headed(b"\xc1"), "no msgpack"),
        (headed(b"\x91" * 100_000), "no msgpack"),
        (headed(b"\xdd\x7f\xff\xff\xff"), "no msgpack"),
        (headed(header("Streamed", 1.0) + b"\0"), "no msgpack"),
        (headed(msgpack.packb(3)), "no token and message"),
        (headed(header("Streamed", 1.0, token="text")), "no token and message"),
        (headed(header("Popen", "x")), "'Popen' is not expected"),
        (headed(header("Streamed")), "no Streamed"),
        (headed(header("Streamed", 1.0, 2.0)), "no Streamed"),
        (headed(header("Streamed", "fast")), "no float"),
        (headed(header("Streamed", True)), "no float"),
        (headed(header("Weighed", None, 1.5, None, 0)), "no int"),
        (headed(header("Probed", (("Failure", "elsewhere", "", ""),))), "no Literal"),
        (headed(header("Probed", (("Streamed", 1.0),))), "none of Returned, Failure"),
        (headed(header("Watched", ("a",), (1,))), "no str"),
        (headed(header("Watched", {}, ())), "no tuple"),
        (headed(header("Answer", {1: ("Failure", "raised", "", "")}, {}, {}, ())), "none of str, NoneType"),
        (headed(header("Answer", {}, {"sum": {"u": 1}}, {}, ())), "no array"),
        (headed(header("Answer", {}, {"sum": {"u": NUMBERS}}, {}, ())), "more bytes than the frame has"),
        (headed(header("Answer", {}, {"sum": {"u": NUMBERS}}, {}, ()), bytes(24)), "belong to no array"),
        (headed(b"\x92\xc4\x00\x93\xa7Watched\x90\x90", bytes(1)), "belong to no array"),
        (headed(b"\x92\xc4\x00\x95\xa6Answer\x82\xc0\xc0\xc0\xc0\x80\x80\x90"), "none of Returned, Failure"),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused_with_a_reason(data, why):
    with pytest.raises(Unfit, match=why):
        read(data, *get_args(Reply))


def test_a_name_twice_is_refused():
    failed = msgpack.packb(("Failure", "raised", "", ""))
    twice = b"\x92\xc4\x00\x95\xa6Answer\x82\xc0" + failed + b"\xc0" + failed + b"\x80\x80\x90"
    with pytest.raises(Unfit, match="no Mapping"):
        read(headed(twice))


@pytest.mark.parametrize(
    ("name", "shape"),
    [("object", (1,)), ("V8", (1,)), ("float64", (2**63, 2**63)), ("float64", (0, 2**63, 2**63)), ("bool", (1,) * 40)],
)
def test_an_array_of_no_dtype_or_shape_is_refused(name, shape):
    data = name.encode().ljust(12, b"\0") + b"".join(n.to_bytes(8, "big") for n in shape)
    with pytest.raises(Unfit):
        read(headed(header("Answer", {}, {"sum": {"u": msgpack.ExtType(1, data)}}, {}, ()), bytes(8)))


# -- broken frames ---------------------------------------------------------------------------------------------------


def anything(draw, depth=0):
    """Data of msgpack as nobody sends it."""
    kind = draw.randrange(10 if depth < 5 else 6)
    if kind < 6:
        unknown = msgpack.ExtType(draw.randrange(127), draw.randbytes(20))
        simple = [None, True, draw.getrandbits(60), -1, draw.random(), draw.randbytes(3)]
        return draw.choice([*simple, "sum", "u", "Failure", "raised", NUMBERS, unknown])
    items = [anything(draw, depth + 1) for _ in range(draw.randrange(4))]
    if kind < 8:
        return (draw.choice(KINDS).__name__, *items)
    return items if kind < 9 else {draw.choice([None, 1, "u", "sum"]): item for item in items}


def mutated(draw, data):
    """Some bytes changed, cut out, put in or doubled."""
    data = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 8])):
        at = draw.randrange(len(data) + 1)
        until = min(len(data), at + draw.choice([1, 1, 4, 40]))
        data[at:until] = draw.choice(
            [b"", draw.randbytes(until - at), data[at:until] * 2, draw.randbytes(1), b"\xff" * 4]
        )
    return bytes(data)


def broken(draw):
    """A frame that is broken somewhere: anywhere, in its header, or in what its header says."""
    kind = draw.randrange(8)
    if kind == 0:
        return draw.randbytes(draw.randrange(200))
    if kind == 1:
        fields = [anything(draw) for _ in range(draw.randrange(9))]
        return headed(header(draw.choice(KINDS).__name__, *fields), draw.randbytes(draw.choice([0, 16, 100])))
    whole = frame(draw.choice(MESSAGES))
    if kind == 2:
        return whole[: draw.randrange(len(whole))]
    if kind == 3:
        return mutated(draw, whole)
    _, _, length, _ = wire.PREFIX.unpack_from(whole)
    start = wire.PREFIX.size
    return headed(mutated(draw, whole[start : start + length]), whole[start + length :])


def test_whatever_is_read_is_a_message_or_refused():
    """No exception but the reader's own, no wait, no memory but the frame's."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = {"read": 0, "refused": 0, "cut off": 0}
    for number in range(SEED, SEED + INPUTS):
        data = broken(random.Random(number))
        begun = time.process_time()
        try:
            read(data)
            outcomes["read"] += 1
        except Unfit:
            outcomes["refused"] += 1
        except EOFError:
            outcomes["cut off"] += 1
        except BaseException as error:
            raise AssertionError(f"LOSSMARK_FUZZ_SEED={number} LOSSMARK_FUZZ=1: {data!r}") from error
        assert time.process_time() - begun < 1
    print(outcomes)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    assert INPUTS < 1000 or all(count > INPUTS / 100 for count in outcomes.values()), outcomes
