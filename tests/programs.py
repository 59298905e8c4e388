"""Programs that speak the protocol: the reference harnesses, and some that do it badly."""

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "protocol"
HARNESSES = {"python": (sys.executable, "harness.py"), "node": ("node", "harness.mjs")}


def harness(name):
    """The command line of a harness; one whose interpreter is not there is skipped, unless everything is required."""
    interpreter, script = HARNESSES[name]
    if shutil.which(interpreter) is None:
        assert not os.environ.get("LOSSMARK_REQUIRE"), f"where everything is required, {interpreter} is too"
        pytest.skip(f"{interpreter} is not installed")
    return shlex.join([interpreter, str(FOLDER / script)])


HEAD = """
import base64, json, os, struct, sys, time
def sent(*numbers, dtype="float64", shape=None):
    data = base64.b64encode(struct.pack(f"<{len(numbers)}d", *numbers)).decode()
    return {"dtype": dtype, "shape": [] if shape is None else shape, "data": data}
def say(found, end="\\n"):
    sys.stdout.write((found if isinstance(found, str) else json.dumps(found)) + end)
    sys.stdout.flush()
def hello(**keys):
    return {"lossmark": 1, "losses": {"huber": ["delta", "reduction"]}, "gradients": [], "dtypes": ["float64"], **keys}
"""
GUEST = (
    HEAD
    + """
for asked in map(json.loads, sys.stdin):
    number = {"id": asked["id"]}
    right = {**number, "value": sent(0.5)}
    if "loss" not in asked:
        say(number | hello())
    elif asked["params"]:
        DOES
    else:
        say(right)
"""
)
"""Does something wrong when it is asked with a parameter."""
