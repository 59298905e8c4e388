"""Right but different, in JAX, of the losses over classes."""

import jax
import jax.numpy as jnp

from ..mutants.common import Maker, entropy
from ..mutants.jax_ import xp

make = Maker(xp, "jax", globals())


@jax.custom_vjp
def _fused(x, y):
    return entropy(xp, x, y)


def _back(kept, g):
    x, y = kept
    return g[:, None] * (jax.nn.softmax(x, 1) * jnp.sum(y, 1, keepdims=True) - y), jnp.zeros_like(y)


_fused.defvjp(lambda x, y: (entropy(xp, x, y), (x, y)), _back)


@jax.jit  # a scan compiles anew at every call
def _scanned(z):
    """The log-sum-exp of z class by class, with a running maximum."""

    def step(kept, column):
        most, total = kept
        higher = jnp.maximum(most, jax.lax.stop_gradient(column))
        shift = jnp.where(higher == -jnp.inf, 0, higher)
        return (higher, total * jnp.exp(most - shift) + jnp.exp(column - shift)), None

    start = jnp.full_like(z[:, 0], -jnp.inf), jnp.zeros_like(z[:, 0])
    (most, total), _ = jax.lax.scan(step, start, z.T)
    return (most + jnp.log(total))[:, None]


def _below(x):
    return x - jax.lax.stop_gradient(jnp.max(x, 1, keepdims=True))


def _weighed(y, log_sum, z):
    """As optax's safe_softmax_cross_entropy: a class of weight 0 adds 0 although its logit may be -inf."""
    return jnp.sum(jnp.where(y == 0, 0, y * (log_sum - jnp.where(y == 0, 0, z))), 1)


make.soft("soft-log-softmax", modes=("eager", "jit"))
make.soft("soft-optax", lambda xp, x, y: -jnp.sum(y * jax.nn.log_softmax(x, axis=-1), axis=-1), modes=("eager", "jit"))
make.soft("soft-vmap", lambda xp, x, y: jax.vmap(lambda a, b: -jnp.vdot(b, jax.nn.log_softmax(a)))(x, y))
make.soft("soft-fused", lambda xp, x, y: _fused(x, y))
make.soft("soft-scan", lambda xp, x, y: _weighed(y, _scanned(_below(x)), _below(x)))
make.soft("soft-safe", lambda xp, x, y: _weighed(y, jax.nn.logsumexp(_below(x), 1, keepdims=True), _below(x)))
make.soft("soft-classes-reversed", lambda xp, x, y: entropy(xp, x[:, ::-1], y[:, ::-1]), modes=("eager", "jit"))
