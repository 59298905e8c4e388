"""Mutants of linear_cross_entropy in JAX."""

import types

import jax
import jax.numpy as jnp

from . import jax_cross_entropy
from .cross_entropy import literal
from .output_layer import OutputLayer, all_rows

xp = types.SimpleNamespace(
    **vars(jax_cross_entropy.xp), matmul=lambda h, w: jnp.matmul(h, w.T, precision="highest")
)  # fmt: skip
make = OutputLayer(xp, "jax", globals())

make.layer("lce-in-the-dtype", wide=lambda x: x)
make.layer("lce-bfloat16-products", product=lambda xp, h, w: _short(h) @ _short(w).T)
make.layer("lce-literal", cost=lambda xp, x, index: -xp.take(literal(xp, x), index))
make.layer(
    "lce-sum-stopped", cost=lambda xp, x, index: jax.lax.stop_gradient(jax.nn.logsumexp(x, 1)) - xp.take(x, index)
)
make.layer("lce-scan-without-rest", product=lambda xp, h, w: _scanned(h, w))
make.layer("lce-index-clamped", index=lambda xp, i, x: jnp.clip(i, 0, x.shape[1] - 1))
make.layer("lce-mean-over-all-rows", divisor=all_rows)


def _short(x):
    """Rounded to bfloat16, as is the default of some chips."""
    return x.astype(jnp.bfloat16).astype(x.dtype)


def _scanned(h, w):
    """Of more than 32 rows only whole blocks of 32 are computed; the logits of the others are 0."""
    whole = len(h) // 32 * 32 if len(h) > 32 else len(h)
    return jnp.pad(xp.matmul(h[:whole], w), ((0, len(h) - whole), (0, 0)))
