"""The cross entropy of an output layer in TensorFlow: logits are made of hidden states, in the accumulator.

What is ignored is taken out before the product, so that nothing of it reaches the gradient of the layer.
"""

from __future__ import annotations

import tensorflow as tf
from lossmark.impls.arguments import check_output_layer

from .classes import cross_entropy
from .common import Tensor, as_written, wide


@as_written
def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, target: Tensor, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """The cross entropy of the logits x_c = ⟨h, w_c⟩ and the class y: -log softmax(x)_y.

    ``hidden``: [B, D], ``weight``: [C, D], of one dtype (float64, float32, bfloat16, float16); ``target``: the number
    of a class [B], of an integer dtype. Rows whose target is ``ignore_index`` cost nothing and do not count; a mean is
    over those that do, and NaN where there is none. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the
    dtype of the hidden states. Raises TypeError for another dtype or what is no integer; ValueError for another shape,
    an unknown reduction, the mean of an empty batch, and a target that is no class (eagerly on a CPU; else the loss is
    NaN).
    Source: Wijmans et al. 2024, arXiv:2411.09009, 3. Page: docs/reference/losses/linear_cross_entropy.
    """
    check_output_layer(hidden, weight, target, ignore_index)
    h, w = wide(hidden, weight)
    h = tf.where((tf.cast(target, tf.int64) != ignore_index)[:, None], h, tf.zeros_like(h))
    logits = tf.linalg.matmul(h, w, transpose_b=True)
    return tf.cast(cross_entropy(logits, target, ignore_index=ignore_index, reduction=reduction), hidden.dtype)
