"""Losses of a prediction and its target in NumPy, with their gradients written out.

16-bit inputs are computed in float32 and the result is rounded once, to the dtype of the inputs.
The line beyond the border is δ·max(d - δ, 0): δ·(d - min(d, δ)) has slopes δ and -δ for small errors, whose sum loses
what is left of them.
"""

from __future__ import annotations

import numpy as np
from lossmark.impls.arguments import check_positive, check_reduction, check_tensors

from .common import Array, reduce, weight, wide


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
    dtype = x.dtype
    x, t = wide(x, t)
    border = x.dtype.type(delta)
    error = np.abs(x - t)
    within = np.minimum(error, border)
    return reduce(x.dtype.type(0.5) * within * within + border * np.maximum(error - border, 0), reduction, dtype)


def huber_gradient(x: Array, t: Array, *, delta: float = 1.0, reduction: str = "mean") -> dict[str, Array]:
    """The gradient of :func:`huber` by ``x``: the error, between -δ and δ."""
    (batch,) = check_tensors({"x": x, "t": t}, rank=1)
    check_positive("delta", delta)
    check_reduction(reduction, batch)
    dtype = x.dtype
    x, t = wide(x, t)
    border = x.dtype.type(delta)
    return {"x": (weight(batch, reduction, x.dtype) * np.clip(x - t, -border, border)).astype(dtype)}
