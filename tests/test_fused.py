"""The fused variants where the default run does not take them: many blocks of rows, small inputs, 16-bit inputs."""

import pytest

from lossmark.adapters.installed import framework_version
from tests.test_conformance import held

SMALL_BLOCKS = "from lossmark.impls.{room} import fused, rows\n{sizes} = 24\nimpl = fused.impl\n"
GUESTS = {
    "torch": SMALL_BLOCKS.format(room="pytorch", sizes="rows.WORTHWHILE = 0; rows.BLOCK"),
    "numpy": SMALL_BLOCKS.format(room="numpy_", sizes="rows.FORWARD = rows.BACKWARD"),
    "tensorflow": """
import tensorflow as tf
from lossmark.impls.tensorflow_ import fused
tf.config.run_functions_eagerly(True)  # the passes themselves, which XLA would take a second each to compile
fused.WORTH_COMPILING = 0
impl = fused.impl
""",
}


LOSSES = [f"--loss={name}" for name in ("bpr", "contrastive_pair", "labeled_triplet", "pairwise_hinge")]
RUNS = [(framework, "float32") for framework in GUESTS] + [("torch", "bfloat16"), ("numpy", "bfloat16")]


@pytest.mark.parametrize(("framework", "dtype"), RUNS)
def test_blocks_and_compiled_passes_conform_at_every_size(framework, dtype, tmp_path):
    if framework_version(framework) is None:
        pytest.skip(f"{framework} is not installed")
    done, results = held(GUESTS[framework], tmp_path, "--mode", "eager", "--dtype", dtype, *LOSSES)
    wrong = [cell for cell in results.cells if cell.verdict in ("fail", "error")]
    settings = {"state"} if "tf.config" in GUESTS[framework] else set()  # the guest's own, which are rightly seen
    assert {cell.check for cell in wrong} == settings, wrong[:3]
    assert done.returncode == bool(settings), done.stdout[-2000:]
    assert results.counts["pass"] > 300
