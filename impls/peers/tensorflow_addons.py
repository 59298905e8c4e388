"""tensorflow-addons 0.23.0, ``contrastive_loss`` as coded; the package does not import on today's TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from lossmark import Implementation

impl = Implementation("tensorflow-addons", framework="tensorflow", version="0.23.0")


@impl.loss
def contrastive(d: tf.Tensor, y: tf.Tensor, *, margin: float = 1.0) -> tf.Tensor:
    """y·d² + (1 - y)·max(margin - d, 0)², mean; gradient 1 at the kink; labels (B, 1) make a (B, B) loss."""
    y_pred = tf.convert_to_tensor(d)
    y_true = tf.dtypes.cast(y, y_pred.dtype)
    losses = y_true * tf.math.square(y_pred) + (1.0 - y_true) * tf.math.square(tf.math.maximum(margin - y_pred, 0.0))
    return tf.reduce_mean(losses)
