"""Mutants of kl_div in JAX."""

import jax
import jax.numpy as jnp

from .common import Maker, divergence, log_or_zero, terms
from .jax_ import xp

make = Maker(xp, "jax", globals())


@jax.custom_vjp
def _of_softmax(x, y):
    return divergence(xp, x, y)


def _back(kept, g):
    x, y = kept
    return g[:, None] * (jnp.exp(x) * jnp.sum(y, 1, keepdims=True) - y), jnp.zeros_like(y)


_of_softmax.defvjp(lambda x, y: (divergence(xp, x, y), (x, y)), _back)


def _padded(v, filled):
    return jnp.pad(v, ((0, 0), (0, -v.shape[1] % 8)), constant_values=filled)


make.kl("kl-reversed", lambda xp, x, y: jnp.sum(jnp.exp(x) * (x - log_or_zero(xp, y)), 1))
make.kl("kl-generalised", lambda xp, x, y: divergence(xp, x, y) + jnp.sum(jnp.exp(x) - y, 1))
make.kl("kl-relative-entropy", lambda xp, x, y: jnp.sum(jax.scipy.special.rel_entr(y, jnp.exp(x)), 1))
make.kl("kl-nan-at-zero", lambda xp, x, y: jnp.sum(y * (jnp.log(y) - x), 1))
make.kl("kl-eps-in-log", lambda xp, x, y: jnp.sum(y * (jnp.log(y + 1e-12) - x), 1))
make.kl("kl-clipped", lambda xp, x, y: jnp.sum(jnp.clip(y, 1e-7, 1) * (jnp.log(jnp.clip(y, 1e-7, 1)) - x), 1))
make.kl("kl-log-target", lambda xp, x, y: jnp.sum(jnp.exp(y) * (y - x), 1))
make.kl("kl-slope-of-softmax", lambda xp, x, y: _of_softmax(x, y))
make.kl("kl-padded-with-uniform", lambda xp, x, y: divergence(xp, _padded(x, -1.0), _padded(y, 0.125)))
make.kl("kl-largest-class-only", lambda xp, x, y: jnp.take_along_axis(
    terms(xp, x, y), jnp.argmax(y, 1, keepdims=True), 1)[:, 0])  # fmt: skip
make.kl("kl-symmetric", lambda xp, x, y: (
    divergence(xp, x, y) + jnp.sum(jnp.exp(x) * (x - log_or_zero(xp, y)), 1)) / 2)  # fmt: skip
