"""Liger tests its cross entropy against that of torch on the same bfloat16 logits, by ``allclose`` with 5 % and 1e-8.

5 % hides a sum that is kept in 8 bits, and torch has the confident rows wrong by itself.
"""

import pytest
import torch
from torch.nn import functional

from lossmark.testing import assert_conforms
from tests.third_party.examples import sees

BLOCK = 64


def data(confident=False):
    torch.manual_seed(0)
    logits, target = torch.randn(48, 512), torch.randint(0, 512, (48,))
    if confident:
        logits[torch.arange(48), target] += 16
    return logits.bfloat16(), target


def kernel(logits, target, *, rescale=True, kept=torch.float32, inside=torch.float32):
    """Value and gradient of the mean, as a kernel computes them: block by block, with a running maximum."""
    x, rows = logits.float(), torch.arange(len(target))
    most, total = torch.full((len(x),), -torch.inf), torch.zeros(len(x), dtype=kept)
    for block in x.split(BLOCK, dim=1):
        larger = torch.maximum(most, block.amax(1))
        if rescale:
            total = total * torch.exp(most - larger).to(kept)
        total = total + torch.exp(block - larger[:, None]).sum(1).to(kept)
        most = larger
    log_sum = (most + total.float().log()).to(inside).float()
    gradient = torch.exp(x - log_sum[:, None]).to(inside)
    gradient[rows, target] -= 1
    value = (log_sum - x[rows, target]).to(inside).mean()
    return value.bfloat16(), (gradient / len(x)).bfloat16()


def as_torch(got, confident=False):
    logits, target = data(confident)
    logits.requires_grad_()
    wanted = functional.cross_entropy(logits, target)
    wanted.backward()
    assert torch.allclose(got[0], wanted, atol=1e-8, rtol=5e-2)
    assert torch.allclose(got[1], logits.grad, atol=1e-8, rtol=5e-2)


def conforming(got, confident=False):
    logits, target = data(confident)
    return assert_conforms("cross_entropy", {"logits": logits, "target": target}, got[0], grads={"logits": got[1]})


def test_a_kernel_that_keeps_float32_conforms():
    as_torch(kernel(*data()))
    conforming(kernel(*data()))
    conforming(kernel(*data(True)), True)


@pytest.mark.parametrize(
    ("fault", "confident", "by_torch"),
    [
        pytest.param({"rescale": False}, False, True, id="a running sum that is not rescaled"),
        pytest.param({"kept": torch.bfloat16}, False, False, id="a running sum in bfloat16"),
        pytest.param({"inside": torch.bfloat16}, True, False, id="confident rows in bfloat16"),
    ],
)
def test_what_each_sees(fault, confident, by_torch):
    got = kernel(*data(confident), **fault)
    assert (sees(as_torch, got, confident), sees(conforming, got, confident)) == (by_torch, True)
