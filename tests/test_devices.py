"""What the losses owe to a GPU, where there is none: tensors stay on their device, and no value is looked at."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from lossmark.adapters.installed import framework
from lossmark.checks.prepared import Prepared
from lossmark.checks.run import Run
from lossmark.checks.usage import Usage
from lossmark.dtypes import DTYPES
from lossmark.formula.tree import shape_of
from lossmark.sandbox.messages import Failure, Probed, Returned
from lossmark.sandbox.target import targets
from lossmark.specification.library import losses

torch = pytest.importorskip("torch")

DTYPE_NAMES = ("float64", "float32", "bfloat16", "float16")


@pytest.fixture
def fused(monkeypatch):
    """The fused losses with the passes of a GPU, whose kernels are not launched."""
    pytest.importorskip("triton")
    from lossmark.impls.pytorch import fused, triton_

    monkeypatch.setattr(triton_, "_launch", lambda *_, **__: None)
    monkeypatch.setattr(fused, "passes_for", lambda _: triton_)
    return fused.impl


@pytest.fixture
def plain():
    """The losses written beside the formula."""
    from lossmark.impls.pytorch.losses import impl

    return impl


@pytest.mark.parametrize("form", ["plain", "fused"])
@pytest.mark.parametrize("dtype", DTYPE_NAMES)
@pytest.mark.parametrize("loss", losses().values(), ids=lambda loss: loss.id)
def test_values_and_gradients_stay_on_a_device_that_shows_no_values(loss, dtype, form, request):
    """A tensor on ``meta`` has no numbers: to look at one, or to mix it with a tensor of the CPU, is an error."""
    functions = request.getfixturevalue(form).losses
    if loss.id not in functions:
        assert form == "fused"
        return
    function = functions[loss.id]
    adapter, kind = framework("torch"), getattr(torch, dtype)
    for params in ({"similarity": each} for each in ("dot", "cosine")) if "similarity" in loss.model.params else ({},):
        shapes = {item.name: shape_of(item.dims, loss.sizes((4, 8))) for item in loss.inputs}
        kinds = {name: torch.int64 if name in loss.indices else kind for name in shapes}
        inputs = {name: torch.empty(shape, dtype=kinds[name], device="meta") for name, shape in shapes.items()}
        reductions = ("none", "sum", "mean")
        program = adapter.program(
            lambda given, params, reduction: function(**given, **params, reduction=reduction),
            reductions, reductions, loss.gradient_of, "eager",
        )  # fmt: skip
        found = program(inputs, torch.empty(4, dtype=kind, device="meta"), params)
        for derivative in found.values():
            tensors = [derivative.value, *derivative.gradient.values()]
            assert set(derivative.gradient) == set(loss.gradient_of)
            assert {(x.device.type, x.dtype) for x in tensors} == {("meta", kind)}


def refusing(device, case, outcomes):
    """What the check of refusals says of lossmark's own torch on a device, if its calls end in ``outcomes``."""
    (target,) = targets(["torch"])
    loss = losses()["contrastive"]
    run = Run(target, loss, case, device, "float32", "eager", ("refusal",))
    found = Usage(Prepared(run, case, DTYPES["float32"]), lambda _: Probed(outcomes), None).refusal()
    return found.ok, found.detail


def test_a_label_that_is_no_label_is_refused_on_the_host_and_taken_unread_on_a_gpu():
    """To look at its value would wait for the GPU, so lossmark's own losses must not."""
    case = next(case for case in losses()["contrastive"].cases if "LabelValue" in case.flags)
    taken = [Returned(np.zeros(()), True, "float32", (), "gpu")] * 4
    refused = [Failure("raised", "ValueError", "y has the value 2, expected [0, 1]")] * 4
    assert refusing("cpu", case, refused)[0]
    assert not refusing("cpu", case, taken)[0]
    assert refusing("gpu", case, taken) == (True, "taken: on a gpu the values of labels are not looked at")
    assert not refusing("gpu", case, refused)[0]
    shape = replace(case, flags=())
    assert refusing("gpu", shape, refused)[0]
    assert not refusing("gpu", shape, taken)[0]


def test_torch_compile_starts_few_processes(monkeypatch):
    """Their memory counts as the worker's, and a large machine would have it stopped."""
    import torch._inductor.config as inductor

    monkeypatch.setattr(inductor, "compile_threads", 32)
    framework("torch").program(lambda *_: None, ("mean",), (), (), "compile")
    assert inductor.compile_threads <= 4


def test_every_worker_of_jax_leaves_memory_to_others():
    """Several share a GPU, and JAX would take three quarters of its memory at once."""
    pytest.importorskip("jax")
    code = (
        "import os; from lossmark.adapters.installed import framework; "
        "framework('jax').setup(); print(os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'])"
    )
    variables = {name: x for name, x in os.environ.items() if name != "XLA_PYTHON_CLIENT_PREALLOCATE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables)
    assert done.stdout.strip() == "false"
