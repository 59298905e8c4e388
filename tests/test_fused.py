"""The fused variants where the default run does not take them: many blocks of rows, small inputs, 16-bit inputs."""

import pytest

from lossmark.adapters.installed import framework_version
from tests.test_conformance import held

SMALL_BLOCKS = "from lossmark.impls.{room} import fused, rows\n{sizes} = 24\nimpl = fused.impl\n"
GUESTS = {
    "torch": """
from lossmark.impls.pytorch import aten_classes, aten_products, fused, rows
rows.WORTHWHILE = 0
rows.BLOCK = aten_classes.CACHED = aten_products.CACHED = 24
impl = fused.impl
""",
    "numpy": SMALL_BLOCKS.format(room="numpy_", sizes="rows.FORWARD = rows.BACKWARD"),
    "tensorflow": """
import tensorflow as tf
from lossmark.impls.tensorflow_ import fused
tf.config.run_functions_eagerly(True)  # the passes themselves, which XLA would take a second each to compile
fused.WORTH_COMPILING = 0
impl = fused.impl
""",
}


ROWS = ("bpr", "contrastive_pair", "labeled_triplet", "pairwise_hinge")
CLASSES = ("cross_entropy", "cross_entropy_z", "linear_cross_entropy", "info_nce", "clip")
RUNS = [(framework, "float32", ROWS) for framework in GUESTS] + [
    ("torch", "bfloat16", ROWS),
    ("numpy", "bfloat16", ROWS),
    ("torch", "float32", CLASSES),
    ("torch", "float16", CLASSES),
]
JAX_BLOCKS = """
from lossmark.impls.jax_ import fused, fused_products
fused_products.CACHED = 64
impl = fused.impl
"""


def test_blocks_of_rows_and_what_is_left_of_them_conform_in_jax(tmp_path):
    if framework_version("jax") is None:
        pytest.skip("jax is not installed")
    chosen = ["--case=*/random-*", *[f"--loss={name}" for name in CLASSES[2:]]]
    done, results = held(JAX_BLOCKS, tmp_path, "--mode", "eager", "--dtype", "float32", *chosen)
    assert not [cell for cell in results.cells if cell.verdict in ("fail", "error")]
    assert done.returncode == 0, done.stdout[-2000:]
    assert results.counts["pass"] > 60


@pytest.mark.parametrize(("framework", "dtype", "losses"), RUNS)
def test_blocks_and_compiled_passes_conform_at_every_size(framework, dtype, losses, tmp_path):
    if framework_version(framework) is None:
        pytest.skip(f"{framework} is not installed")
    chosen = [f"--loss={name}" for name in losses]
    done, results = held(GUESTS[framework], tmp_path, "--mode", "eager", "--dtype", dtype, *chosen)
    wrong = [cell for cell in results.cells if cell.verdict in ("fail", "error")]
    settings = {"state"} if "tf.config" in GUESTS[framework] else set()  # the guest's own, which are rightly seen
    assert {cell.check for cell in wrong} == settings, wrong[:3]
    assert done.returncode == bool(settings), done.stdout[-2000:]
    assert results.counts["pass"] > 300
