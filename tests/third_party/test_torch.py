"""torch tests ``cross_entropy`` against a reference in Python, by ``assert_close`` with the tolerances of the dtype.

These allow 1e-5 in float32, whatever the size of the numbers: a gradient of the mean is smaller than that.
"""

import pytest
import torch
from torch.nn import functional

from lossmark.testing import assert_conforms
from tests.third_party.examples import differentiated, sees

SMOOTHING = 0.1


def data():
    torch.manual_seed(0)
    logits, target = 2 * torch.randn(16, 12, 200), torch.randint(0, 200, (16, 12))
    target[:, ::5] = -100
    return logits, target


def right(logits, target):
    return functional.cross_entropy(logits.flatten(0, 1), target.flatten(), label_smoothing=SMOOTHING)


def reference(logits, target):
    """The formula in Python, one example at a time."""
    total, count = 0.0, 0
    for row, label in zip(logits.flatten(0, 1), target.flatten(), strict=True):
        if label != -100:
            losses = row.logsumexp(0) - row
            total, count = total + (1 - SMOOTHING) * losses[label] + SMOOTHING * losses.mean(), count + 1
    return total / count


def mean_of_all(logits, target):
    return right(logits, target) * (target != -100).sum() / target.numel()


def shared_among_the_others(logits, target):
    """Label smoothing that gives the true class no share, which is another convention."""
    classes = logits.shape[-1]
    losses = logits.flatten(0, 1).log_softmax(-1).neg()
    hard = functional.nll_loss(-losses, target.flatten(), reduction="none", ignore_index=-100)
    smooth = (losses.sum(-1) - hard) / (classes - 1)
    rows = torch.where(target.flatten() == -100, 0.0, (1 - SMOOTHING) * hard + SMOOTHING * smooth)
    return rows.sum() / (target != -100).sum()


def small_gradients_dropped(value, gradient):
    """A kernel that skips blocks in which every probability is small."""
    return value, gradient.where(gradient.abs() > 1e-6, 0.0)


def results(loss):
    logits, target = data()
    value, (gradient,) = differentiated(lambda x: loss(x, target), logits)
    return value, gradient


def close(value, gradient):
    wanted, slope = results(reference)
    torch.testing.assert_close(value, wanted)
    torch.testing.assert_close(gradient, slope)


def conforming(value, gradient):
    logits, target = data()
    params = {"label_smoothing": SMOOTHING}
    return assert_conforms(
        "cross_entropy", {"logits": logits, "target": target}, value, params=params, grads={"logits": gradient}
    )


def test_both_accept_torch():
    close(*results(right))
    assert conforming(*results(right)).grade == "accurate"


@pytest.mark.parametrize(
    ("got", "by_close"),
    [
        pytest.param(lambda: results(mean_of_all), True, id="rows that do not count are counted"),
        pytest.param(lambda: results(shared_among_the_others), True, id="smoothing among the others"),
        pytest.param(lambda: small_gradients_dropped(*results(right)), False, id="small gradients dropped"),
    ],
)
def test_what_each_sees(got, by_close):
    assert (sees(close, *got()), sees(conforming, *got())) == (by_close, True)
