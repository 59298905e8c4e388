"""Mutants of cross_entropy in JAX."""

import types

import jax
import jax.numpy as jnp
import numpy as np

from . import jax_
from .cross_entropy import Entropy, literal, mean_of_all

xp = types.SimpleNamespace(
    **vars(jax_.xp),
    integer=lambda x: x.astype(jnp.int64 if x.dtype.itemsize == 8 else jnp.int32),
    ones=lambda x: jnp.ones(x.shape[1], x.dtype), zeros=jnp.zeros_like,
    numbers=lambda x: None if isinstance(x, jax.core.Tracer) else np.asarray(x),
    at=lambda w, i: w[i], take=lambda x, i: jnp.take_along_axis(x, i[:, None], axis=1)[:, 0],
    largest=lambda x: jax.lax.stop_gradient(jnp.max(x, axis=1, keepdims=True)),
)  # fmt: skip
make = Entropy(xp, "jax", globals())

make.entropy("ce-in-the-dtype", wide=lambda x: x)
make.entropy("ce-literal", log_p=literal)
make.entropy("ce-clipped", log_p=lambda xp, x: jnp.log(jnp.clip(jax.nn.softmax(x), 1e-7, 1 - 1e-7)))
make.entropy("ce-over-the-batch", log_p=lambda xp, x: jax.nn.log_softmax(x, axis=0))
make.entropy("ce-index-clamped", index=lambda xp, i, x: jnp.clip(i, 0, x.shape[1] - 1))
make.entropy("ce-smoothing-unweighted", smooth=lambda xp, log_p, w, i: mean_of_all(xp, log_p, 1, i))
make.entropy("ce-mean-over-batch", divisor=lambda xp, w_y, counted: len(counted))
make.entropy("ce-mean-of-none-is-zero", divisor=lambda xp, w_y, counted: (
    jnp.where(counted.any(), jnp.sum(jnp.where(counted, w_y, 0)), 1)))  # fmt: skip
make.entropy("ce-running-sum-not-rescaled", log_p=lambda xp, x: _online(x))
make.entropy("ce-sum-stopped", log_p=lambda xp, x: _of_the_class_only(x))


def _online(x):
    """A running sum of exponentials that is not rescaled where a larger maximum comes."""
    total, most = jnp.zeros_like(x[:, :1]), jnp.full_like(x[:, :1], -jnp.inf)
    for start in range(0, x.shape[1], max(x.shape[1] // 4, 1)):
        part = x[:, start : start + max(x.shape[1] // 4, 1)]
        most = jnp.maximum(most, xp.largest(part))
        total = total + jnp.sum(jnp.exp(part - most), axis=1, keepdims=True)
    return (x - most) - jnp.log(total)


def _of_the_class_only(x):
    """Only the logit of the class has a gradient, not the sum of all."""
    return x - xp.largest(x) - jax.lax.stop_gradient(jnp.log(jnp.sum(jnp.exp(x - xp.largest(x)), 1, keepdims=True)))
