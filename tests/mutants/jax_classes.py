"""Mutants in JAX of the losses over classes."""

import jax
import jax.numpy as jnp

from .common import Maker, entropy, reduced_wide
from .jax_ import xp

make = Maker(xp, "jax", globals())


@jax.custom_vjp
def _unweighted(x, y):
    return entropy(xp, x, y)


def _unweighted_back(kept, g):
    x, y = kept
    return g[:, None] * (jax.nn.softmax(x, 1) - y), jnp.zeros_like(y)


_unweighted.defvjp(lambda x, y: (entropy(xp, x, y), (x, y)), _unweighted_back)


def _shifted(x, y, shift):
    z = x - jax.lax.stop_gradient(shift)
    return jnp.sum(y * (jnp.log(jnp.sum(jnp.exp(z), 1, keepdims=True)) - z), 1)


def _padded(v):
    return jnp.pad(v, ((0, 0), (0, -v.shape[1] % 8)))


make.soft("soft-narrow", wide=False, reduce=reduced_wide)
make.soft("soft-slope-unweighted", lambda xp, x, y: _unweighted(x, y))
make.soft("soft-not-shifted", lambda xp, x, y: _shifted(x, y, 0))
make.soft("soft-largest-of-batch", lambda xp, x, y: _shifted(x, y, jnp.max(x)))
make.soft("soft-textbook", lambda xp, x, y: jnp.sum(y * (jax.nn.logsumexp(x, 1, keepdims=True) - x), 1))
make.soft("soft-swapped", lambda xp, x, y: entropy(xp, y, x))
make.soft("soft-target-argmax", lambda xp, x, y: entropy(xp, x, jax.nn.one_hot(jnp.argmax(y, 1), y.shape[1])))
make.soft("soft-padded-with-zeros", lambda xp, x, y: entropy(xp, _padded(x), _padded(y)))
make.soft("soft-smoothed", lambda xp, x, y: entropy(xp, x, 0.9 * y + 0.1 / y.shape[1]))
make.soft("soft-largest-differentiated", lambda xp, x, y: jnp.sum(
    y * (jax.lax.stop_gradient(jax.nn.logsumexp(x - jnp.max(x, 1, keepdims=True), 1, keepdims=True))
         + jnp.max(x, 1, keepdims=True) - x), 1))  # fmt: skip
