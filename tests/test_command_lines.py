"""Lines of JSON from a program: none of them harms the judge, and what is wrong with one costs its call only."""

import os
import re
import sys

import numpy as np
import psutil
import pytest

from lossmark.adapters.registry import Reference
from lossmark.adapters.runtime import COMMAND
from lossmark.dtypes import DTYPES
from lossmark.sandbox.command import CommandWorker
from lossmark.sandbox.json_lines import Declined, answered, question
from lossmark.sandbox.limits import Limits
from lossmark.sandbox.messages import Failure, Probe, Probed
from lossmark.sandbox.schema import Unfit
from tests.programs import GUEST, HEAD

CALL = {"x": np.array([2.0]), "t": np.array([1.0])}
BAD = Probe("mini", "huber", ({**CALL, "delta": 2.0},), "cpu")
GOOD = Probe("mini", "huber", (CALL,), "cpu")


@pytest.fixture
def guest(tmp_path):
    """Makes the worker of a program."""
    workers = []

    def made(does, text=GUEST):
        (tmp_path / "mini.py").write_text(text.replace("DOES", does))
        workers.append(CommandWorker(Reference(f"{sys.executable} {tmp_path / 'mini.py'}", "mini", COMMAND.name)))
        workers[-1].limits = Limits(cell=1.0, idle=1.0, starting_idle=20.0)
        return workers[-1]

    yield made
    for worker in workers:
        worker.stop()


BITS = "number | {'value': sent(0.5) | {'data': "
MISBEHAVIOUR = {
    "text on the standard output": ("say('Loading…'); say(right)", "Invalid JSON: .*, in b'Loading"),
    "another id": ("say(right | {'id': 99})", "an answer to question 99, asked was 1"),
    "no id": ("say({'value': sent(0.5)})", "id: Field required"),
    "dies": ("os.kill(os.getpid(), 11)", r"the process ended \(signal 11\)"),
    "exits": ("sys.exit('out of luck')", r"the process ended \(exit code 1\): out of luck"),
    "closes its output": ("os.close(1); time.sleep(1e6)", "it closed its standard output$"),
    "half a line, then the end": ("say(right, end=''); os._exit(0)", r"the process ended \(exit code 0\)"),
    "half a line, then nothing": ("say('{\"id\": 1, ', end=''); time.sleep(1e6)", "no processor time used for 1 s"),
    "sleeps": ("time.sleep(1e6)", "no processor time used for 1 s"),
    "computes without end": ("while True: pass", "no result within 1 s of processor time"),
    "a line without end": ("while True: say('x' * (1 << 20), end='')", r"an answer of more than \d+ bytes"),
    "a million empty lists": ("say('[' + '[],' * 1000000 + '[]]')", "commas and brackets, at most 65536 are read"),
    "deeply nested": ("say('[' * 30000 + ']' * 30000)", "Invalid JSON: recursion limit exceeded"),
    "an endless standard error": ("while True: os.write(2, b'x' * 65536)", "more than 64 MiB of standard error"),
    "no Unicode": ("os.write(1, bytes([255, 10]))", "Invalid JSON"),
    "a huge id": ("say('{\"id\": ' + '9' * 5000 + '}')", "number out of range"),
    "a huge shape": ("say(number | {'value': sent(0.5, shape=[10**9] * 3)})", "8 bytes of data, where 8 for each"),
    "no numbers along endless axes": (
        "say(number | {'value': sent(shape=[0, 1 << 40, 1 << 40])})",
        r"value: shape \[0, 1099511627776, 1099511627776\]: array is too big",
    ),
    "a size of thousands of digits": (
        "say(number | {'value': sent(shape=[0, 10 ** 4000])})",
        "^.{0,60}value.shape.1: Input should be less than or equal to 1099511627776$",
    ),
    "an id of thousands of digits": ("say({'id': 10 ** 4000})", "^.{0,60}id: Input should be less than [0-9]{16}$"),
    "a negative shape": ("say(number | {'value': sent(0.5, shape=[-1])})", "value.shape.0: Input should be greater"),
    "a shape in fractions": (
        "say(number | {'value': sent(0.5, shape=[1.0])})",
        "value.shape.0: Input should be a valid",
    ),
    "no base64": (f"say({BITS}'nan'}}}})", "value: no base64"),
    "base64 with spaces": (f"say({BITS}'AAAA AAAA'}}}})", "value: no base64"),
    "numbers as a list": (f"say({BITS}[float('nan')]}}}})", "value.data: Input should be a valid string"),
    "half a number": (f"say({BITS}'AAAAAA=='}}}})", "4 bytes of data"),
    "another dtype": ("say(number | {'value': sent(0.5, dtype='float8')})", "value.dtype: Input should be 'float64'"),
    "a key of another name": ("say(right | {'gradients': {}})", "gradients: Extra inputs are not permitted"),
    "nothing": ("say(number)", "one of value, error and unsupported, this one none"),
    "value and error": ("say(right | {'error': ''})", "this one value and error"),
    "an empty line": ("say('')", "Invalid JSON: EOF"),
    "no object": ("say([1])", "Input should be an object"),
}
"""What a program does, and what is said of it."""


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_what_a_program_does_wrong_costs_one_call(name, guest):
    does, says = MISBEHAVIOUR[name]
    worker = guest(does)
    found = worker.ask(BAD)
    assert isinstance(found, Failure)
    assert found.kind in ("crashed", "timed out")
    assert re.search(says, found.message), found.message
    again = worker.ask(GOOD)
    assert isinstance(again, Probed), again
    assert again.outcomes[0].array == 0.5


def test_two_answers_are_seen_at_the_next_question(guest):
    worker = guest("say(right); say(right)")
    assert isinstance(worker.ask(BAD), Probed)
    found = worker.ask(GOOD)
    assert isinstance(found, Failure)
    assert re.search("more answers than questions|an answer to question 1, asked was 2", found.message)
    assert isinstance(worker.ask(GOOD), Probed)


def test_a_question_that_nobody_reads_is_not_waited_for(guest):
    worker = guest("", HEAD + "say(hello(id=0)); time.sleep(1e6)")
    found = worker.ask(Probe("mini", "huber", ({"x": np.zeros(1 << 16), "t": np.zeros(1 << 16)},), "cpu"))
    assert isinstance(found, Failure)
    assert "no processor time used" in found.message


def test_a_line_may_come_in_pieces_and_a_program_may_complain(guest):
    does = "[(say(c, end=''), time.sleep(0.01)) for c in json.dumps(right)]; os.write(2, b'x' * (3 << 20)); say('')"
    found = guest(does).ask(BAD)
    assert isinstance(found, Probed), found


def test_what_a_program_has_started_ends_with_it_in_a_session_of_its_own_too(guest):
    starts = "subprocess.Popen(['sleep', '1000'], start_new_session=True)"
    worker = guest(f"import subprocess; say({{**number, 'error': str({starts}.pid)}})")
    found = worker.ask(BAD)
    child = psutil.Process(int(found.outcomes[0].message))
    assert os.getsid(child.pid) == child.pid
    worker.stop()
    assert not psutil.wait_procs([child], timeout=20)[1]


@pytest.mark.parametrize(
    ("does", "message"),
    [
        ("say(number | {'error': 'delta is odd'})", "delta is odd"),
        ("say(number | {'unsupported': 'no delta of 2'})", "no delta of 2"),
        ("say(number | {'value': sent(0.1, dtype='bfloat16')})", "value: 0.1 is no number of bfloat16"),
    ],
)
def test_a_call_may_have_no_result(does, message, guest):
    worker = guest(does)
    found = worker.ask(BAD)
    assert isinstance(found, Probed)
    assert isinstance(found.outcomes[0], Failure)
    assert found.outcomes[0].message.startswith(message)
    assert isinstance(found.outcomes[0], Declined) == ("unsupported" in does)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number_of_every_dtype_is_sent_as_it_is(dtype):
    kind = DTYPES[dtype].numpy
    if kind.itemsize == 2:
        array = np.arange(1 << 16, dtype=np.uint16).view(kind)
    else:
        array = np.random.default_rng(5).integers(0, 256, 1 << 12, np.uint8).view(kind)
    array = np.concatenate([array, np.array([0.0, -0.0, np.inf, -np.inf, np.nan], kind)])
    line = question(3, "huber", {"x": array}).decode()
    sent = line[line.index('{"dtype"') : line.index("}") + 1]
    outcome, _ = answered(b'{"id": 3, "value": ' + sent.encode() + b"}", 3)
    assert outcome.array.dtype == kind
    with np.errstate(invalid="ignore"):  # there are signalling NaNs among them
        assert np.array_equal(outcome.array.astype(float), array.astype(float), equal_nan=True)
    assert np.array_equal(np.signbit(outcome.array)[-5:-1], [False, True, False, True])


@pytest.mark.parametrize(
    "line",
    [
        '{"id": 3, "error": "no", "id": 3}',
        '{"id": 3, "value": {"dtype": "float64", "shape": [], "data": "AAAAAAAA4D8=", "data": "AAAAAAAA8D8="}}',
        '{"id": 3, "unsupported": "x", "unsupported": "y"}',
    ],
)
def test_a_key_that_stands_twice_is_refused(line):
    with pytest.raises(Unfit, match="stands twice in one object"):
        answered(line.encode(), 3)
