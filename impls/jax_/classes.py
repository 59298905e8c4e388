"""The losses over classes in JAX.

Everything is taken relative to the largest logit, so that a common offset changes nothing. 16-bit inputs are computed
in float32: 8 bits cannot tell a probability from 1.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array, lax
from lossmark.impls.arguments import check_reduction, check_tensors

from .common import checked_label, reduce, wide


def below_largest(logits: Array) -> tuple[Array, Array]:
    """The logits [B, C] minus the largest of their row, and the log-sum-exp [B, 1] of these."""
    z = logits - lax.stop_gradient(jnp.max(logits, axis=1, keepdims=True))
    return z, jax.nn.logsumexp(z, axis=1, keepdims=True)


def soft_cross_entropy(logits: Array, target: Array, *, reduction: str = "mean") -> Array:
    """Σ_c y_c·(log Σ_j exp(x_j) - x_c), through the differences to the largest logit.

    ``logits``: [B, C] (float64, float32, bfloat16, float16); ``target``: weights of the classes [B, C] of any dtype,
    values in [0, 1], such as probabilities. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of
    the logits. Raises TypeError for another dtype; ValueError for another shape, an unknown reduction, the mean of an
    empty batch, and targets outside [0, 1]
    (on a CPU, not under tracing).
    Source: Szegedy et al. 2016, arXiv:1512.00567. Page: docs/reference/losses/soft_cross_entropy.
    """
    shape = check_tensors({"logits": logits}, rank=2, across="C")
    check_reduction(reduction, shape[0])
    dtype = logits.dtype
    (logits,) = wide(logits)
    target = checked_label("target", target, shape, logits.dtype, soft=True)
    z, lse = below_largest(logits)
    # a class of weight 0 adds 0 although its logit may be -inf
    loss = jnp.sum(target * (lse - jnp.where(target == 0, 0, z)), axis=1)
    return reduce(loss, reduction, dtype)
