"""A loss of your own, held to its formula: what `lossmark new impl` writes for TensorFlow.

Run it as it is:  lossmark check --impl THIS_FILE
Then put your own code in place of the function's body, or another loss's id in place of its name: `lossmark list`.
"""

import tensorflow as tf

from lossmark import Implementation

impl = Implementation("mine", framework="tensorflow", version="0.1")  # modes=("eager", "graph") runs a graph, too


@impl.loss  # the id is the function's name; @impl.loss("id") gives it to any other function
def contrastive(d, y, *, margin=1.0, reduction="mean"):
    """y·d² + (1 - y)·max(margin - d, 0)², of distances and labels [B]; a tape has the gradient."""
    if d.shape != y.shape:  # or [B] and [B, 1] silently become [B, B]
        raise ValueError(f"y has shape {y.shape}, expected {d.shape}")
    if not d.dtype.is_floating:  # or a loss of 1/4 is cast back to 0
        raise TypeError(f"d has dtype {d.dtype}, expected a floating one")
    wide = tf.float64 if d.dtype == tf.float64 else tf.float32  # sums of 16 bits are kept in 32
    distance, label = tf.cast(d, wide), tf.cast(y, wide)
    loss = label * tf.square(distance) + (1 - label) * tf.square(tf.maximum(margin - distance, 0))
    reduced = {"none": loss, "sum": tf.reduce_sum(loss), "mean": tf.reduce_mean(loss)}[reduction]
    return tf.cast(reduced, d.dtype)
