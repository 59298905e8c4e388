"""Arguments out of their range are refused alike: by a loss, by the gradient written beside it, in every framework."""

import numpy as np
import pytest

import lossmark
from lossmark.adapters.installed import framework_version
from lossmark.specification.library import losses

WRITTEN = ("numpy", "numpy-fused")
"""The implementations whose gradients are written out."""
REFUSED = [
    (name, case)
    for loss in losses().values()
    for case in loss.cases
    for name in WRITTEN
    if case.golden and case.golden.expect.error and loss.id in lossmark.load(name).gradients
]
SMOOTHED_TOO_MUCH = {
    "numpy": np.asarray,
    "torch": lambda x: __import__("torch").from_numpy(x),
    "tensorflow": lambda x: __import__("tensorflow").constant(x),
    "jax": lambda x: __import__("jax.numpy").numpy.asarray(x),
}


def arguments(case):
    """What a golden case calls with, in float32."""
    loss = losses()[case.loss]
    given = {name: array for name, array in case.inputs.items() if name not in case.absent}
    arrays = {name: x.astype(np.int64 if name in loss.indices else np.float32) for name, x in given.items()}
    return arrays | loss.called(case.params)


@pytest.mark.parametrize(("name", "case"), REFUSED, ids=[f"{name}-{case.id}" for name, case in REFUSED])
def test_a_written_gradient_refuses_what_its_loss_refuses(name, case):
    with pytest.raises((ValueError, TypeError)) as refused:
        lossmark.load(name).gradients[case.loss](**arguments(case))
    assert type(refused.value).__name__ == case.golden.expect.error


@pytest.mark.parametrize("framework", SMOOTHED_TOO_MUCH)
def test_more_smoothing_than_all_is_refused(framework):
    if not framework_version(framework):
        pytest.skip(f"{framework} is not installed")
    x, y = map(SMOOTHED_TOO_MUCH[framework], (np.zeros((2, 3), np.float32), np.array([0, 2], np.int64)))
    impl = lossmark.load(framework)
    for call in (impl.losses["cross_entropy"], impl.gradients.get("cross_entropy")):
        if call is not None:
            with pytest.raises(ValueError, match="label_smoothing is 2"):
                call(logits=x, target=y, label_smoothing=2.0)
