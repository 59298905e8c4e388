"""optax: ``hinge_loss`` and ``sigmoid_binary_cross_entropy`` of the difference of two scores."""

from __future__ import annotations

import jax.numpy as jnp
import optax
from jax import Array

from lossmark import Implementation

impl = Implementation("optax", framework="jax", version=optax.__version__, modes=("eager", "jit"))


def _difference(u: Array, d_pos: Array, d_neg: Array) -> Array:
    """s⁺ - s⁻ [B]."""
    return jnp.sum(u * d_pos, axis=-1) - jnp.sum(u * d_neg, axis=-1)


@impl.loss
def pairwise_hinge(u: Array, d_pos: Array, d_neg: Array) -> Array:
    """max(0, 1 - y·x) at y = 1, mean."""
    x = _difference(u, d_pos, d_neg)
    return jnp.mean(optax.losses.hinge_loss(x, jnp.ones_like(x)))


@impl.loss
def bpr(u: Array, d_pos: Array, d_neg: Array) -> Array:
    """-y·log σ(x) - (1 - y)·log σ(-x) at y = 1, mean."""
    x = _difference(u, d_pos, d_neg)
    return jnp.mean(optax.losses.sigmoid_binary_cross_entropy(x, jnp.ones_like(x)))
