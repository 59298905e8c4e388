"""keras-rs: its pairwise losses on lists of two, the positive item and the negative."""

from __future__ import annotations

from importlib import metadata

import keras_rs
import tensorflow as tf

from lossmark import Deviation, Implementation

impl = Implementation("keras-rs", framework="tensorflow", version=metadata.version("keras-rs"))

PAGE = "https://keras.io/keras_rs/api/losses"
OF_NO_PAIR = "every pair of items has a loss, and that of a pair in no order counts 0 times: NaN where it is infinite"


def _of_pairs(
    kind: type[keras_rs.losses.PairwiseHingeLoss], u: tf.Tensor, d_pos: tf.Tensor, d_neg: tf.Tensor
) -> tf.Tensor:
    """The mean over lists; the library's own mean is over items, of which there are two to a list."""
    scores = tf.stack([tf.reduce_sum(u * d_pos, axis=-1), tf.reduce_sum(u * d_neg, axis=-1)], axis=-1)
    labels = tf.stack([tf.ones_like(scores[:, 0]), tf.zeros_like(scores[:, 0])], axis=-1)
    loss = kind(reduction=None, dtype=u.dtype.name if u.dtype.is_floating else None)
    return tf.reduce_mean(tf.reduce_sum(loss(labels, scores), axis=-1))


HINGE = Deviation(
    why=OF_NO_PAIR,
    formula="max(0, margin - (s_pos - s_neg)) "
    "+ 0*(max(0, margin - (s_neg - s_pos)) + (s_pos - s_pos) + (s_neg - s_neg))",
    url=f"{PAGE}/pairwise_hinge_loss",
)


@impl.loss("pairwise_hinge", deviates=HINGE)
def pairwise_hinge(u: tf.Tensor, d_pos: tf.Tensor, d_neg: tf.Tensor) -> tf.Tensor:
    """relu(1 - (s⁺ - s⁻)), mean."""
    return _of_pairs(keras_rs.losses.PairwiseHingeLoss, u, d_pos, d_neg)


LOGISTIC = Deviation(
    why=f"the logarithm of 1 more than an exponential, which is lost beside 1; {OF_NO_PAIR}",
    formula="(max(s_neg - s_pos, 0) + log(1 + exp(-abs(s_pos - s_neg)))) "
    "+ 0*(max(s_pos - s_neg, 0) + (s_pos - s_pos) + (s_neg - s_neg))",
    url=f"{PAGE}/pairwise_logistic_loss",
)


@impl.loss("bpr", deviates=LOGISTIC)
def bpr(u: tf.Tensor, d_pos: tf.Tensor, d_neg: tf.Tensor) -> tf.Tensor:
    """relu(-x) + log(1 + exp(-|x|)) of x = s⁺ - s⁻, mean."""
    return _of_pairs(keras_rs.losses.PairwiseLogisticLoss, u, d_pos, d_neg)
