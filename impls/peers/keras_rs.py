"""keras-rs: its pairwise losses on lists of two, the positive item and the negative."""

from __future__ import annotations

from importlib import metadata

import keras_rs
import tensorflow as tf

from lossmark import Implementation

impl = Implementation("keras-rs", framework="tensorflow", version=metadata.version("keras-rs"))

_HINGE = keras_rs.losses.PairwiseHingeLoss(reduction=None)
_LOGISTIC = keras_rs.losses.PairwiseLogisticLoss(reduction=None)


def _of_pairs(loss: keras_rs.losses.PairwiseLoss, u: tf.Tensor, d_pos: tf.Tensor, d_neg: tf.Tensor) -> tf.Tensor:
    """The mean over lists; the library's own mean is over items, of which there are two to a list."""
    scores = tf.stack([tf.reduce_sum(u * d_pos, axis=-1), tf.reduce_sum(u * d_neg, axis=-1)], axis=-1)
    labels = tf.stack([tf.ones_like(scores[:, 0]), tf.zeros_like(scores[:, 0])], axis=-1)
    return tf.reduce_mean(tf.reduce_sum(loss(labels, scores), axis=-1))


@impl.loss
def pairwise_hinge(u: tf.Tensor, d_pos: tf.Tensor, d_neg: tf.Tensor) -> tf.Tensor:
    """relu(1 - (s⁺ - s⁻)), mean."""
    return _of_pairs(_HINGE, u, d_pos, d_neg)


@impl.loss
def bpr(u: tf.Tensor, d_pos: tf.Tensor, d_neg: tf.Tensor) -> tf.Tensor:
    """relu(-x) + log(1 + exp(-|x|)) of x = s⁺ - s⁻, mean; 0 from x = 20 on in float32."""
    return _of_pairs(_LOGISTIC, u, d_pos, d_neg)
