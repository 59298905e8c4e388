"""What a mode that traces does to a function before it is traced."""

import json
import sys

import pytest

from lossmark.adapters.installed import framework_version
from tests.processes import finished

pytestmark = pytest.mark.skipif(framework_version("tensorflow") is None, reason="TensorFlow is not installed")

BRANCHING = """
import tensorflow as tf
from lossmark import Implementation
impl = Implementation("branching", framework="tensorflow", modes=("graph", "xla"))
@impl.loss
def contrastive(d, y, *, margin=1.0, reduction="mean"):
    wide = tf.float64 if d.dtype == tf.float64 else tf.float32
    given = d.dtype
    d, y = tf.cast(d, wide), tf.cast(y, wide)
    loss = y * tf.square(d) + (1 - y) * tf.square(tf.nn.relu(margin - d))
    if tf.reduce_any(d > 1e30):
        loss = loss + 0
    if reduction == "none":
        return tf.cast(loss, given)
    return tf.cast(tf.reduce_sum(loss) if reduction == "sum" else tf.reduce_mean(loss), given)
"""


def test_a_graph_may_branch_on_numbers(tmp_path):
    """As under ``tf.function``: AutoGraph makes an ``if`` of a tensor part of the graph."""
    file, results = tmp_path / "branching.py", tmp_path / "results.jsonl"
    file.write_text(BRANCHING)
    options = ["--impl", str(file), "--dtype", "float32", "--case", "contrastive/*-*", "--results", str(results)]
    run = finished([sys.executable, "-m", "pytest", "conformance", "-q", *options])
    cells = [json.loads(line) for line in results.read_text().splitlines()][1:-1]
    assert {cell["mode"] for cell in cells} == {"graph", "xla"}
    assert {cell["verdict"] for cell in cells} == {"pass"}, run.stdout
