"""Right but different, in JAX, of kl_div."""

import jax
import jax.numpy as jnp
from jax.scipy.special import entr, xlogy

from ..mutants.common import Maker, divergence, log_or_zero, reduced_wide, terms
from ..mutants.jax_ import xp

make = Maker(xp, "jax", globals())


@jax.custom_vjp
def _fused(x, y):
    return divergence(xp, x, y)


_fused.defvjp(lambda x, y: (divergence(xp, x, y), y), lambda y, g: (-g[:, None] * y, jnp.zeros_like(y)))


@jax.jit  # a scan compiles anew at every call
def _scanned(x, y):
    """The sum of the terms class by class."""

    def step(total, column):
        a, b = column
        return total + (xlogy(b, b) - b * a), None

    return jax.lax.scan(step, jnp.zeros_like(x[:, 0]), (x.T, y.T))[0]


def _optax(xp, x, y):
    """As optax.kl_divergence."""
    return jnp.sum(y * (jnp.where(y == 0, 0, jnp.log(y)) - x), axis=-1)


make.kl("kl-guarded", modes=("eager", "jit"))
make.kl("kl-guarded-in-the-dtype", wide=False, reduce=reduced_wide)
make.kl("kl-optax", _optax, modes=("eager", "jit"))
make.kl("kl-entr", lambda xp, x, y: jnp.sum(-entr(y) - y * x, 1))
make.kl("kl-vmap", lambda xp, x, y: jax.vmap(lambda a, b: jnp.vdot(b, log_or_zero(xp, b) - a))(x, y))
make.kl("kl-scan", lambda xp, x, y: _scanned(x, y))
make.kl("kl-fused", lambda xp, x, y: _fused(x, y))
make.kl("kl-zero-written-over", lambda xp, x, y: jnp.sum(
    jnp.where((y == 0) & ~jnp.isnan(x), 0, terms(xp, x, y)), 1))  # fmt: skip
make.kl("kl-classes-reversed", lambda xp, x, y: divergence(xp, x[:, ::-1], y[:, ::-1]), modes=("eager", "jit"))
