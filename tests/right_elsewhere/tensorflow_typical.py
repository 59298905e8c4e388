"""As training scripts have them: every helper widens what it is given, so that gradients meet in the inputs' dtype."""

import tensorflow as tf
from lossmark.tests.right_elsewhere.refusals import COSINE_GUARD, refuse_misfits

from lossmark import Implementation

scripts = Implementation(
    "elsewhere/tensorflow-widening-helpers", framework="tensorflow", modes=("eager", "graph", "xla")
)
FINISH = {"none": tf.identity, "sum": tf.math.reduce_sum, "mean": tf.math.reduce_mean}


def as_float(x):
    """float64 stays."""
    return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)


def length(x):
    """Rows' norms, 0 with the gradient 0."""
    square = tf.reduce_sum(tf.square(as_float(x)), axis=1)
    return tf.where(square == 0, 0 * square, tf.sqrt(tf.where(square == 0, 1 + square, square)))


def similar(x, y, kind):
    """Row by row."""
    s = tf.reduce_sum(as_float(x) * as_float(y), axis=1)
    return {"dot": lambda: s, "cosine": lambda: s / tf.maximum(length(x) * length(y), COSINE_GUARD)}[kind]()


@scripts.loss
def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, similarity="dot", reduction="mean"):
    """The loss of two scores."""
    refuse_misfits(u, d_pos, d_neg)
    loss = tf.nn.relu(margin - similar(u, d_pos, similarity) + similar(u, d_neg, similarity))
    return tf.cast(FINISH[reduction](loss), u.dtype)


@scripts.loss
def contrastive_pair(x1, x2, y, *, margin=1.0, reduction="mean"):
    """tf.where chooses by hard labels; soft ones mix."""
    refuse_misfits(x1, x2, label=y)
    d = length(as_float(x1) - as_float(x2))
    y = tf.cast(y, d.dtype)
    loss = y * tf.square(d) + (1 - y) * tf.square(tf.clip_by_value(margin - d, 0, d.dtype.max))
    return tf.cast(FINISH[reduction](loss), x1.dtype)
