"""Mutants of the loss of pairs in JAX."""

import types

import jax
import jax.numpy as jnp
from lossmark.impls.jax_.similarity import norm, similarities

from . import jax_, pairs
from .pairs import Pairs

xp = types.SimpleNamespace(
    **vars(jax_.xp),
    similarities=similarities, own=jnp.diagonal, turned=lambda s: s.T,
    lse=lambda s: jax.nn.logsumexp(s, axis=1), eye=lambda s: jnp.eye(len(s), dtype=bool),
    infinite=lambda s: jnp.full_like(s, -jnp.inf), beside=lambda s, own: jnp.concatenate([s, own[:, None]], 1),
)  # fmt: skip
make = Pairs(xp, "jax", globals())

make.pairs("nce-other-direction", body=pairs.other_direction)
make.pairs("nce-keys-stopped", lambda q, k, kind: similarities(q, jax.lax.stop_gradient(k), kind))
make.pairs("nce-negatives-stopped", lambda q, k, kind: _own_keys_only(similarities(q, k, kind)))
make.pairs("nce-mean-over-pairs", reduce=pairs.mean_over_pairs)
make.pairs("nce-guard-added", lambda q, k, kind: (
    similarities(q, k, kind) if kind == "dot" else _product(q, k) / (norm(q)[:, None] * norm(k) + 1e-8)))  # fmt: skip
make.pairs("nce-running-sum-not-rescaled", body=lambda xp, s: _online_keys(s))
make.pairs("nce-in-the-dtype", lambda q, k, kind: xp.cast(similarities(xp.wide(q), xp.wide(k), kind), q.dtype),
           wide=lambda x: x)  # fmt: skip
make.pairs("nce-temperature-multiplied", heat=pairs.multiplied)
make.pairs("nce-temperature-not-in-slope", heat=lambda s, t: s + jax.lax.stop_gradient(s / t - s))


def _product(q, k):
    return jnp.matmul(q, k.T, precision="highest")


def _own_keys_only(s):
    """Negatives without a gradient, as those of a queue have none."""
    return jnp.where(xp.eye(s), s, jax.lax.stop_gradient(s))


def _online_keys(s):
    """A running sum of exponentials that is not rescaled where a larger maximum comes."""
    total, most, width = jnp.zeros_like(s[:, 0]), jnp.full_like(s[:, 0], -jnp.inf), max(len(s) // 4, 1)
    for start in range(0, len(s), width):
        part = s[:, start : start + width]
        most = jnp.maximum(most, jax.lax.stop_gradient(part.max(axis=1)))
        total = total + jnp.sum(jnp.exp(part - most[:, None]), axis=1)
    return jnp.log(total) - (jnp.diagonal(s) - most)
