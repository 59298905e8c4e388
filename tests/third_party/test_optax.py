"""optax tests ``sigmoid_binary_cross_entropy`` against numbers worked out before, within 1e-4, and its gradient against
finite differences.

The numbers are few, and half of them are of logits at which nothing is left of the other side of the formula.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from lossmark.testing import assert_conforms
from tests.third_party.examples import sees

WORKED = [
    ([-1e9, -1e-9], [1.0, 0.0], 5e8), ([-1e9, -1e-9], [0.0, 1.0], 0.3465736), ([1e9, 1e-9], [1.0, 0.0], 0.3465736),
    ([0.0, 0.0], [1.0, 0.0], 0.6931472), ([1.0, -1.0], [1.0, 0.0], 0.3132617), ([1.0, -1.0], [0.5, 0.5], 0.8132617),
]  # fmt: skip
"""Logits, labels, and the mean of the loss."""


def right(logits, labels):
    return labels * jax.nn.softplus(-logits) + (1 - labels) * jax.nn.softplus(logits)


def labels_exchanged(logits, labels):
    return right(logits, 1 - labels)


def kept_off_zero(logits, labels):
    """An epsilon inside of the logarithms, and the linear ends beside it."""
    p = jax.nn.sigmoid(logits)
    inside = -labels * jnp.log(p + 1e-6) - (1 - labels) * jnp.log(1 - p + 1e-6)
    return jnp.where(jnp.abs(logits) > 13, right(logits, labels), inside)


def linear_beyond_eight(logits, labels):
    """softplus that is max(x, 0) beyond 8: a confident right answer costs nothing, and moves nothing."""
    return jnp.where(jnp.abs(logits) > 8, jnp.maximum(logits, 0) - labels * logits, right(logits, labels))


def worked(loss):
    for logits, labels, wanted in WORKED:
        got = loss(jnp.asarray(logits, jnp.float32), jnp.asarray(labels, jnp.float32)).mean()
        np.testing.assert_allclose(got, wanted, atol=1e-4)
    x = jnp.asarray([-2.0, -0.5, 0.5, 2.0], jnp.float32)
    check_grads(lambda x: loss(x, jnp.asarray([0.0, 1.0, 0.0, 1.0])).mean(), (x,), order=1)


def conforming(loss):
    x = jnp.linspace(-12, 12, 97, dtype=jnp.float32)
    y = jnp.arange(97) % 2
    value, gradient = jax.value_and_grad(lambda x: loss(x, y).sum())(x)
    inputs = {"logits": x, "target": y}
    assert_conforms("bce_with_logits", inputs, loss(x, y), reduction="none", grads={"logits": gradient})
    return assert_conforms("bce_with_logits", inputs, value, reduction="sum", grads={"logits": gradient})


def test_both_accept_the_formula():
    worked(right)
    assert conforming(right).grade == "accurate"


@pytest.mark.parametrize(
    ("loss", "by_numbers"), [(labels_exchanged, True), (kept_off_zero, False), (linear_beyond_eight, False)]
)
def test_what_each_sees(loss, by_numbers):
    assert (sees(worked, loss), sees(conforming, loss)) == (by_numbers, True)
