"""Losses of a prediction and its target in TensorFlow.

16-bit inputs are computed in float32 and the result is rounded once, to the dtype of the inputs.
The line beyond the border is δ·max(d - δ, 0): δ·(d - min(d, δ)) has slopes δ and -δ for small errors, whose sum loses
what is left of them.
"""

from __future__ import annotations

import tensorflow as tf
from lossmark.impls.arguments import check_positive, check_reduction, check_tensors
from tensorflow import Tensor

from .common import as_written, reduce, wide


@as_written
def huber(x: Tensor, t: Tensor, *, delta: float = 1.0, reduction: str = "mean") -> Tensor:
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
    error = tf.abs(x - t)
    within = tf.minimum(error, delta)
    return reduce(0.5 * within * within + delta * tf.nn.relu(error - delta), reduction, dtype)
