"""Reported defects as losses in JAX."""

import jax
import jax.numpy as jnp

from ..mutants.common import Maker, hinge, reduced, softplus, triplet
from ..mutants.jax_ import xp

make = Maker(xp, "jax", globals())

# -- bpr -------------------------------------------------------------------------------------------------------------


def _logaddexp(xp, x):
    """Its slope at 0 is that of a maximum that is the other operand's, and of an absolute value, which is 0."""
    return jnp.where(x > 0, x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@jax.custom_vjp
def _composed(x):
    return softplus(xp, x)


def _composed_slope(x, g):
    """The slope of -log(1/(1 + e)), e = exp(x), step by step: ∞ · 0 where e overflows."""
    e = jnp.exp(x)
    return (g * (1 + e) * e * (1 / (1 + e)) ** 2,)


_composed.defvjp(lambda x: (softplus(xp, x), x), _composed_slope)

make.bpr("bpr-slope-0-at-a-tie", _logaddexp)
make.bpr("bpr-logarithm-of-overflow", lambda xp, x: jnp.log(jnp.exp(x) + 1), modes=("jit",))
make.bpr("bpr-sigmoid-slope-nan", lambda xp, x: _composed(x))
make.bpr_scores("bpr-common-offset", lambda xp, pos, neg: jnp.logaddexp(pos, neg) - pos)
make.bpr("bpr-one-minus-sigmoid", lambda xp, x: 1 - jax.nn.sigmoid(-x))
make.hinge("hinge-mean-whatever-is-asked", hinge, reduce=lambda xp, x, r: reduced(xp, x, "mean"))

# -- norms -----------------------------------------------------------------------------------------------------------


def _unguarded(xp, x, y):
    """The default epsilon is 0."""
    return (x * y).sum(-1) / (jnp.linalg.norm(x, axis=-1) * jnp.linalg.norm(y, axis=-1))


def _guarded_value(xp, x, y):
    """Norms of 0 become 1 after they are taken: the value is right, the slope of the norm still 0/0."""
    norms = [jnp.linalg.norm(z, axis=-1) for z in (x, y)]
    a, b = (jnp.where(norm == 0, 1, norm) for norm in norms)
    return (x * y).sum(-1) / jnp.maximum(a * b, 1e-8)


make.pair("pair-linalg-norm", lambda xp, x, y: jnp.linalg.norm(x - y, axis=-1))
make.triplet("triplet-norm-squared", triplet, square=lambda xp, x, y: jnp.linalg.norm(x - y, axis=-1) ** 2)
make.cosine("cosine-zero-epsilon", _unguarded)
make.cosine("cosine-guarded-after-the-norm", _guarded_value)
