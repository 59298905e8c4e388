"""Losses of a prediction and its target in JAX.

16-bit inputs are computed in float32 and the result is rounded once, to the dtype of the inputs.
The line beyond the border is δ·max(d - δ, 0): δ·(d - min(d, δ)) has slopes δ and -δ for small errors, whose sum loses
what is left of them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from lossmark.impls.arguments import check_positive, check_reduction, check_tensors

from .common import reduce, wide


def huber(x: Array, t: Array, *, delta: float = 1.0, reduction: str = "mean") -> Array:
    """Half the square of the error d = |x - t| up to δ, and δ·(d - δ/2) beyond.

    ``x``, ``t``: [B] of one dtype (float64, float32, bfloat16, float16); ``delta``: δ > 0. The gradient is by ``x``.
    Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype.
    Raises TypeError for another dtype or a δ that is no number; ValueError for another shape, a δ that is not positive
    and finite, an unknown reduction, and the mean of an empty batch.
    Source: Huber 1964. Page: docs/reference/losses/huber.
    """
    (batch,) = check_tensors({"x": x, "t": t}, rank=1)
    check_positive("delta", delta)
    check_reduction(reduction, batch)
    return reduce(_costs(x, t, delta), reduction, x.dtype)


@jax.jit
def _costs(x: Array, t: Array, delta: float) -> Array:
    """The losses [B] in the accumulator."""
    x, t = wide(x, t)
    error = jnp.abs(x - t)
    within = jnp.minimum(error, delta)
    return 0.5 * within * within + delta * jax.nn.relu(error - delta)
