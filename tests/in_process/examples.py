"""A call of cross entropy by torch, as the tests of lossmark.testing hold it to the formula."""

import pytest
import torch
from torch.nn import functional

from lossmark.testing import NonConforming, assert_conforms

ROWS, CLASSES = (4, 7), 11


def classes(dtype=torch.float32, seed=0):
    """Logits [4, 7, 11] and targets [4, 7], two of them ignored, with value and gradient by torch."""
    torch.manual_seed(seed)
    logits = torch.randn(*ROWS, CLASSES).to(dtype).requires_grad_()
    target = torch.randint(0, CLASSES, ROWS)
    target[0, :2] = -100
    value = functional.cross_entropy(logits.float().reshape(-1, CLASSES), target.reshape(-1))
    value.backward()
    return {"logits": logits, "target": target}, value, logits.grad


def failure(*arguments, **more):
    with pytest.raises(NonConforming) as caught:
        assert_conforms(*arguments, **more)
    return caught.value
