"""The cross entropy of an output layer in NumPy: logits are made of hidden states, in the accumulator.

What is ignored is taken out before the product, so that nothing of it reaches the gradient of the layer.
"""

from __future__ import annotations

import numpy as np
from lossmark.impls.arguments import check_output_layer

from .classes import cross_entropy, cross_entropy_gradient
from .common import Array, wide


def linear_cross_entropy(
    hidden: Array, weight: Array, target: Array, *, ignore_index: int = -100, reduction: str = "mean"
) -> Array:
    """The cross entropy of the logits x_c = ⟨h, w_c⟩ and the class y: -log softmax(x)_y.

    ``hidden``: [B, D], ``weight``: [C, D], of one dtype (float64, float32, bfloat16, float16); ``target``: the number
    of a class [B], of an integer dtype. Rows whose target is ``ignore_index`` cost nothing and do not count; a mean is
    over those that do, and NaN where there is none. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the
    dtype of the hidden states. Raises TypeError for another dtype or what is no integer; ValueError for another shape,
    an unknown reduction, the mean of an empty batch, and a target that is no class.
    Source: Wijmans et al. 2024, arXiv:2411.09009, 3. Page: docs/reference/losses/linear_cross_entropy.
    """
    check_output_layer(hidden, weight, target, ignore_index)
    h, w = _counted(hidden, weight, target, ignore_index)
    return cross_entropy(h @ w.T, target, ignore_index=ignore_index, reduction=reduction).astype(hidden.dtype)


def linear_cross_entropy_gradient(
    hidden: Array, weight: Array, target: Array, *, ignore_index: int = -100, reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`linear_cross_entropy`: with g = softmax(x) - δ_y of every row, g·W and gᵀ·H."""
    check_output_layer(hidden, weight, target, ignore_index)
    h, w = _counted(hidden, weight, target, ignore_index)
    slope = cross_entropy_gradient(h @ w.T, target, ignore_index=ignore_index, reduction=reduction)["logits"]
    return {"hidden": (slope @ w).astype(hidden.dtype), "weight": (slope.T @ h).astype(weight.dtype)}


def _counted(hidden: Array, weight: Array, target: Array, ignore_index: int) -> tuple[Array, ...]:
    """Hidden states and layer in the accumulator, with zeros in the rows that do not count."""
    h, w = wide(hidden, weight)
    return np.where((target != ignore_index)[:, None], h, 0), w
