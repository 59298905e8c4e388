"""Margins between classes in NumPy, with their gradient written out. 16-bit inputs are computed in float32."""

from __future__ import annotations

import numpy as np
from lossmark.impls.arguments import check_margins

from .common import Array, checked_class, reduce, weight, wide


def multi_margin(logits: Array, target: Array, *, margin: float = 1.0, reduction: str = "mean") -> Array:
    """The mean over the classes c of max(0, margin - x_y + x_c), where the class y itself costs nothing.

    The gradient at a kink is 0. ``logits``: scores [B, C] (float64, float32, bfloat16, float16); ``target``: the number
    of a class [B], of an integer dtype. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the
    logits. Raises TypeError for another dtype or a margin that is no number; ValueError for another shape, a margin
    that is negative or not finite, an unknown reduction, the mean of an empty batch, and a target that is no class.
    Source: Weston, Watkins 1999. Page: docs/reference/losses/multi_margin.
    """
    check_margins(logits, target, margin, reduction)
    checked_class(target, logits.shape[1])
    return reduce(np.mean(np.maximum(_behind(*wide(logits), target, margin), 0), axis=1), reduction, logits.dtype)


def multi_margin_gradient(
    logits: Array, target: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`multi_margin`: 1/C of each class that costs something, less their number at y."""
    check_margins(logits, target, margin, reduction)
    checked_class(target, logits.shape[1])
    (x,) = wide(logits)
    costs = (_behind(x, target, margin) > 0).astype(x.dtype)
    slope = costs - (np.arange(x.shape[1]) == target[:, None]) * np.sum(costs, axis=1, keepdims=True)
    g = weight(len(x), reduction, x.dtype)
    return {"logits": (g * (slope / x.dtype.type(x.shape[1]))).astype(logits.dtype)}


def _behind(x: Array, target: Array, margin: float) -> Array:
    """What each class [B, C] costs where it is positive; 0 at the class of the example."""
    own = np.take_along_axis(x, target[:, None].astype(np.intp), axis=1)
    return np.where(np.arange(x.shape[1]) == target[:, None], 0, x.dtype.type(margin) - own + x)
