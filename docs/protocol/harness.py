"""Two losses in plain Python: lossmark check --command "python harness.py" --name plain"""

import base64
import json
import math
import struct
import sys
from operator import mul, sub

SINGLE = ("f", 2**128 - 2**103)  # a code of struct, and from where on numbers are rounded to infinity
FORMATS = {"float64": ("d", math.inf), "float32": SINGLE, "bfloat16": SINGLE, "float16": ("e", 65520)}
LOSSES = {"huber": ["delta", "reduction"], "pairwise_hinge": ["margin", "reduction"]}
HELLO = {"lossmark": 1, "losses": LOSSES, "gradients": [*LOSSES], "dtypes": [*FORMATS]}


def huber(x, t, delta=1.0):  # the loss of one example, and its slopes by the inputs that have a gradient
    assert delta > 0, f"delta must be positive, got {delta}"
    far, z = delta * (abs(x - t) - delta / 2), x - t
    return (far, {"x": [math.copysign(delta, z)]}) if abs(z) > delta else (z * z / 2, {"x": [z]})


def pairwise_hinge(u, d_pos, d_neg, margin=1.0):  # the same of three rows
    assert margin >= 0, f"margin must not be negative, got {margin}"
    z = margin - sum(map(mul, u, d_pos)) + sum(map(mul, u, d_neg))
    slopes = {"u": [*map(sub, d_neg, d_pos)], "d_pos": [-a for a in u], "d_neg": u}
    return (0.0, {name: [0.0] * len(u) for name in slopes}) if z <= 0 else (z, slopes)


def encoded(numbers, dtype, shape):  # rounded to the dtype, ties to even; a bfloat16 is the upper half of a float32
    count, (code, most) = len(numbers), FORMATS[dtype]
    data = struct.pack(f"<{count}{code}", *(x if abs(x) < most else x * math.inf for x in numbers))
    if dtype == "bfloat16":
        bits = struct.unpack(f"<{count}I", data)
        data = struct.pack(f"<{count}I", *(n + 0x7FFF + (n >> 16 & 1) & 0xFFFF0000 for n in bits))
    data = struct.pack(f"<{count}d", *struct.unpack(f"<{count}{code}", data))
    return {"dtype": dtype, "shape": shape, "data": base64.b64encode(data).decode()}


def decoded(dtype, shape, data):  # numbers, or rows of them
    numbers = [x for (x,) in struct.iter_unpack("<d", base64.b64decode(data))]
    return [numbers[at : at + shape[1]] for at in range(0, len(numbers), shape[1])] if shape[1:] else numbers


def answer(loss, inputs, params, reduction="mean", gradient=(), weights=None, **_):
    ((dtype, *shape),) = {(x["dtype"], *x["shape"]) for x in inputs.values()}  # one dtype and one shape
    rows = zip(*(decoded(**x) for x in inputs.values()), strict=True)
    each = [globals()[loss](**dict(zip(inputs, row, strict=True)), **params) for row in rows]
    values, count = [value for value, _ in each], {"none": 1, "sum": 1, "mean": len(each)}[reduction]
    result = (values, dtype, shape[:1]) if reduction == "none" else ([sum(values) / count], dtype, [])
    weigh = decoded(**weights) if weights else [1 / count] * len(each)
    slopes = {name: [w * s for w, (_, part) in zip(weigh, each, strict=True) for s in part[name]] for name in gradient}
    return {"value": encoded(*result), "gradient": {name: encoded(x, dtype, shape) for name, x in slopes.items()}}


for asked in map(json.loads, sys.stdin):
    try:
        found = answer(**asked) if "loss" in asked else HELLO
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps({"id": asked["id"], **found}), flush=True)
