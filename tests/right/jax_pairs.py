"""Right but different implementations of the loss of pairs, in JAX."""

import jax
import jax.numpy as jnp

from ..mutants.jax_pairs import Pairs, norm, xp

make = Pairs(xp, "jax", globals())


def _by_query(q, k, kind):
    """One query at a time by vmap."""
    if kind == "dot":
        return jax.vmap(lambda row: jnp.sum(row * k, axis=1))(q)
    lengths = norm(k)
    return jax.vmap(lambda row, n: jnp.sum(row * k, axis=1) / jnp.maximum(n * lengths, 1e-8))(q, norm(q))


@jax.jit  # a scan compiles anew at every call
def _scanned_keys(s):
    """A running maximum and sum, key by key."""

    def step(state, column):
        most, total = state
        larger = jnp.maximum(most, jax.lax.stop_gradient(column))
        shift = jnp.where(larger == -jnp.inf, 0, larger)
        return (larger, total * jnp.exp(most - shift) + jnp.exp(column - shift)), None

    start = jnp.full_like(s[:, 0], -jnp.inf), jnp.zeros_like(s[:, 0])
    (most, total), _ = jax.lax.scan(step, start, s.T)
    return jnp.log(total) - (jnp.diagonal(s) - most)


@jax.custom_vjp
def _fused_rows(s):
    return -jnp.diagonal(jax.nn.log_softmax(s, axis=1))


_fused_rows.defvjp(
    lambda s: (_fused_rows(s), s),
    lambda s, g: (g[:, None] * (jax.nn.softmax(s, axis=1) - jnp.eye(len(s), dtype=s.dtype)),),
)


make.pairs("nce-log-softmax", modes=("eager", "jit"))
make.pairs("nce-vmap", _by_query)
make.pairs("nce-scan", body=lambda xp, s: _scanned_keys(s))
make.pairs("nce-fused", body=lambda xp, s: _fused_rows(s))
make.pairs("nce-reciprocal", heat=lambda s, t: s * (1 / t))
make.pairs("nce-one-hot", body=lambda xp, s: -jnp.sum(_of_one_hot(s), axis=1))


def _of_one_hot(s):
    own = jax.nn.one_hot(jnp.arange(len(s)), len(s), dtype=bool)
    return jnp.where(own, jax.nn.log_softmax(s, axis=1), 0)
