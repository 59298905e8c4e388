"""The contrast of embeddings with others of their kind in TensorFlow: NT-Xent of two views, SupCon of classes.

The similarities are made in the accumulator. An embedding's similarity with itself counts for nothing.
"""

from __future__ import annotations

import tensorflow as tf
from lossmark.impls.arguments import VIEWS, check_pairs, check_supervised
from tensorflow import Tensor

from .classes import below_largest, cross_entropy
from .common import as_written, reduce, wide
from .similarity import similarities


@as_written
def nt_xent(
    z1: Tensor, z2: Tensor, *, temperature: float = 0.5, similarity: str = "cosine", reduction: str = "mean"
) -> Tensor:
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
    x, y = wide(z1, z2)
    s = similarities(x, y, similarity) / temperature
    first, second = (_without_itself(similarities(z, z, similarity) / temperature) for z in (x, y))
    own = tf.range(tf.shape(s)[0])
    both = cross_entropy(tf.concat([s, first], axis=1), own, reduction="none")
    both += cross_entropy(tf.concat([tf.transpose(s), second], axis=1), own, reduction="none")
    return reduce(0.5 * both, reduction, z1.dtype)


def _without_itself(s: Tensor) -> Tensor:
    return tf.where(_itself(s), tf.constant(-float("inf"), s.dtype), s)


def _itself(s: Tensor) -> Tensor:
    """Where an example meets itself [B, B]."""
    return tf.eye(tf.shape(s)[0], dtype=tf.bool)


@as_written
def supcon(
    z: Tensor, label: Tensor, *, temperature: float = 0.1, similarity: str = "dot", reduction: str = "mean"
) -> Tensor:
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
    (x,) = wide(z)
    s = similarities(x, x, similarity) / temperature
    positive = (label[:, None] == label) & ~_itself(s)
    paired = tf.reduce_any(positive, axis=1)
    zero = tf.zeros_like(s)
    relative, lse = below_largest(tf.where(paired[:, None], _without_itself(s), zero))
    far = tf.reduce_sum(tf.where(positive, lse - relative, zero), axis=1)
    n = tf.reduce_sum(tf.cast(positive, s.dtype), axis=1)
    return reduce(tf.where(paired, far / tf.maximum(n, 1), tf.zeros_like(far)), reduction, z.dtype)
