"""The contrast of embeddings with others of their kind in JAX: NT-Xent of two views, SupCon of classes.

The similarities are made in the accumulator. An embedding's similarity with itself counts for nothing.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import Array
from lossmark.impls.arguments import VIEWS, check_pairs, check_supervised

from .classes import below_largest, cross_entropy
from .common import reduce, wide
from .similarity import similarities


def nt_xent(
    z1: Array, z2: Array, *, temperature: float = 0.5, similarity: str = "cosine", reduction: str = "mean"
) -> Array:
    """NT-Xent: each view is held against the 2B - 1 others of the batch, and its class is the other of its example.

    Of both views of an example the mean of log Σ_k exp(s_k) - s_p over the similarities s = sim/τ with all other views,
    p being its own other view. ``z1``, ``z2``: [B, D] of one dtype (float64, float32, bfloat16, float16), of which row
    i of one belongs to row i of the other; ``temperature``: τ > 0; sim is ``cosine`` = x·y / max(‖x‖‖y‖, 1e-8) or
    ``dot``. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype. Raises TypeError for another
    dtype or a temperature that is no number; ValueError for another shape, a temperature that is not positive and
    finite, an unknown similarity or reduction, and the mean of an empty batch.
    Source: Chen et al. 2020, arXiv:2002.05709, equation 1. Page: docs/reference/losses/nt_xent.
    """
    check_pairs(z1, z2, temperature, similarity, reduction, VIEWS)
    first, second = _views(*wide(z1, z2), temperature, similarity)
    if not len(z1):
        return reduce(jnp.sum(first, axis=1), reduction, z1.dtype)
    own = jnp.arange(len(z1))
    both = cross_entropy(first, own, reduction="none") + cross_entropy(second, own, reduction="none")
    return reduce(0.5 * both, reduction, z1.dtype)


@functools.partial(jax.jit, static_argnames="similarity")
def _views(x: Array, y: Array, temperature: float, similarity: str) -> tuple[Array, Array]:
    """The similarities [B, 2B] of each first view with all second and first ones, and of each second one likewise."""
    s = similarities(x, y, similarity) / temperature
    itself = jnp.eye(len(s), dtype=bool)
    first, second = (jnp.where(itself, -jnp.inf, similarities(z, z, similarity) / temperature) for z in (x, y))
    return jnp.concatenate([s, first], axis=1), jnp.concatenate([s.T, second], axis=1)


def supcon(
    z: Array, label: Array, *, temperature: float = 0.1, similarity: str = "dot", reduction: str = "mean"
) -> Array:
    """SupCon: mean over the positives p of log Σ_{j≠i} exp(s_ij) - s_ip, of the similarities s_ij = sim(z_i, z_j)/τ.

    The positives of an example are all others of its class; one without any costs nothing. ``z``: [B, D] (float64,
    float32, bfloat16, float16); ``label``: whole numbers [B] of any dtype, of which only matters which are equal;
    ``temperature``: τ > 0; sim is ``dot`` or ``cosine`` = x·y / max(‖x‖‖y‖, 1e-8). Returns [B] under ``none``, [] under
    ``sum`` and ``mean``, in the dtype of ``z``. Raises TypeError for another dtype or a temperature that is no number;
    ValueError for another shape, a temperature that is not positive and finite, an unknown similarity or reduction,
    and the mean of an empty batch.
    Source: Khosla et al. 2020, arXiv:2004.11362, equation 2. Page: docs/reference/losses/supcon.
    """
    check_supervised(z, label, temperature, similarity, reduction)
    if not len(z):
        return reduce(jnp.sum(*wide(z), axis=1), reduction, z.dtype)
    return reduce(_supervised(*wide(z), label, temperature, similarity), reduction, z.dtype)


@functools.partial(jax.jit, static_argnames="similarity")
def _supervised(x: Array, label: Array, temperature: float, similarity: str) -> Array:
    """The losses [B] in the accumulator."""
    s = similarities(x, x, similarity) / temperature
    itself = jnp.eye(len(s), dtype=bool)
    positive = (label[:, None] == label) & ~itself
    paired = jnp.any(positive, axis=1)
    relative, lse = below_largest(jnp.where(paired[:, None], jnp.where(itself, -jnp.inf, s), 0))
    far = jnp.sum(jnp.where(positive, lse - relative, 0), axis=1) / jnp.maximum(jnp.sum(positive, axis=1), 1)
    return jnp.where(paired, far, 0)
