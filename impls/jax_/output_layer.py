"""The cross entropy of an output layer in JAX: logits are made of hidden states, in the accumulator.

What is ignored is taken out before the product, so that nothing of it reaches the gradient of the layer.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from lossmark.impls.arguments import check_output_layer

from .classes import cross_entropy
from .common import wide


def linear_cross_entropy(
    hidden: Array, weight: Array, target: Array, *, ignore_index: int = -100, reduction: str = "mean"
) -> Array:
    """The cross entropy of the logits x_c = ⟨h, w_c⟩ and the class y: -log softmax(x)_y.

    ``hidden``: [B, D], ``weight``: [C, D], of one dtype (float64, float32, bfloat16, float16); ``target``: the number
    of a class [B], of an integer dtype. Rows whose target is ``ignore_index`` cost nothing and do not count; a mean is
    over those that do, and NaN where there is none. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the
    dtype of the hidden states. Raises TypeError for another dtype or what is no integer; ValueError for another shape,
    an unknown reduction, the mean of an empty batch, and a target that is no class (on a CPU, not under tracing; else
    the loss is NaN).
    Source: Wijmans et al. 2024, arXiv:2411.09009, 3. Page: docs/reference/losses/linear_cross_entropy.
    """
    check_output_layer(hidden, weight, target, ignore_index)
    logits = _logits(hidden, weight, target, ignore_index)
    return cross_entropy(logits, target, ignore_index=ignore_index, reduction=reduction).astype(hidden.dtype)


@jax.jit
def _logits(hidden: Array, weight: Array, target: Array, ignore_index: int) -> Array:
    """The logits [B, C] in the accumulator, 0 in the rows that are ignored."""
    h, w = wide(hidden, weight)
    h = jnp.where((target.astype(int) != ignore_index)[:, None], h, 0)
    return jnp.matmul(h, w.T, precision="highest")  # a GPU has a faster one of 10 bits
