"""Margins between classes in JAX. 16-bit inputs are computed in float32."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from lossmark.impls.arguments import check_margins

from .common import checked_class, reduce, wide


def multi_margin(logits: Array, target: Array, *, margin: float = 1.0, reduction: str = "mean") -> Array:
    """The mean over the classes c of max(0, margin - x_y + x_c), where the class y itself costs nothing.

    The gradient at a kink is 0. ``logits``: scores [B, C] (float64, float32, bfloat16, float16); ``target``: the number
    of a class [B], of an integer dtype. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the
    logits. Raises TypeError for another dtype or a margin that is no number; ValueError for another shape, a margin
    that is negative or not finite, an unknown reduction, the mean of an empty batch, and a target that is no class (on
    a CPU, not under tracing; else the loss is NaN).
    Source: Weston, Watkins 1999. Page: docs/reference/losses/multi_margin.
    """
    check_margins(logits, target, margin, reduction)
    target = checked_class(target, logits.shape[1])
    return reduce(_mean_of_hinges(logits, target, margin), reduction, logits.dtype)


@jax.jit
def _mean_of_hinges(logits: Array, target: Array, margin: float) -> Array:
    """The losses [B] in the accumulator."""
    (logits,) = wide(logits)
    classes, target = logits.shape[1], target.astype(int)[:, None]
    own = jnp.take_along_axis(logits, jnp.clip(target, 0, classes - 1), axis=1)
    terms = jnp.where(jnp.arange(classes) == target, 0, jax.nn.relu(margin - own + logits))
    return jnp.where(((target >= 0) & (target < classes))[:, 0], jnp.mean(terms, axis=1), jnp.nan)
