"""Right but different implementations of cross_entropy, in JAX."""

import jax
import jax.numpy as jnp

from ..mutants.jax_cross_entropy import Entropy, xp

make = Entropy(xp, "jax", globals())


@jax.custom_vjp
def _fused(x):
    return jax.nn.log_softmax(x)


_fused.defvjp(
    lambda x: (jax.nn.log_softmax(x), x), lambda x, g: (g - jax.nn.softmax(x) * jnp.sum(g, axis=1, keepdims=True),)
)


def _optax(x):
    """As optax has it: shifted by the largest, and the logarithm of the sum of exponentials."""
    x = x - jax.lax.stop_gradient(jnp.max(x, axis=-1, keepdims=True))
    return x - jnp.log(jnp.sum(jnp.exp(x), axis=-1, keepdims=True))


@jax.jit  # a scan compiles anew at every call
def _scanned(x):
    def step(state, column):
        most, total = state
        larger = jnp.maximum(most, jax.lax.stop_gradient(column))
        shift = jnp.where(larger == -jnp.inf, 0, larger)
        return (larger, total * jnp.exp(most - shift) + jnp.exp(column - shift)), None

    start = jnp.full_like(x[:, 0], -jnp.inf), jnp.zeros_like(x[:, 0])
    (most, total), _ = jax.lax.scan(step, start, x.T)
    return (x - most[:, None]) - jnp.log(total)[:, None]


def _one_hot(xp, x, index):
    return jnp.sum(jnp.where(jax.nn.one_hot(index, x.shape[1], dtype=bool), x, 0), axis=1)


make.entropy("ce-log-softmax", log_p=lambda xp, x: jax.nn.log_softmax(x), modes=("eager", "jit"))
make.entropy("ce-optax", log_p=lambda xp, x: _optax(x), modes=("eager", "jit"))
make.entropy("ce-one-hot", pick=_one_hot)
make.entropy("ce-fused", log_p=lambda xp, x: _fused(x))
make.entropy("ce-scan", log_p=lambda xp, x: _scanned(x))
make.entropy("ce-vmap", log_p=lambda xp, x: jax.vmap(jax.nn.log_softmax)(x))
