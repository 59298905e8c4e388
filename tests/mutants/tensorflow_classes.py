"""Mutants in TensorFlow of the losses over classes."""

import tensorflow as tf

from .common import Maker, entropy, reduced_wide
from .tensorflow_ import xp

make = Maker(xp, "tensorflow", globals())


def _native(xp, x, y):
    return tf.nn.softmax_cross_entropy_with_logits(y, x)


def _of_probabilities(p, y):
    """What Keras makes of probabilities: clipped at 1e-7 on both sides."""
    return -tf.reduce_sum(y * tf.math.log(tf.clip_by_value(p, 1e-7, 1 - 1e-7)), 1)


def _online(x, chunks):
    """The log-sum-exp by a running maximum, which forgets to scale the sum so far when it is replaced."""
    most, total = x[:, :1], tf.zeros_like(x[:, :1])
    for part in chunks:
        most = tf.maximum(most, tf.reduce_max(part, 1, keepdims=True))
        total += tf.reduce_sum(tf.exp(part - most), 1, keepdims=True)
    return most + tf.math.log(total)


make.soft("soft-native", _native)
make.soft("soft-narrow", wide=False, reduce=reduced_wide)
make.soft("soft-clamped", lambda xp, x, y: _of_probabilities(tf.nn.softmax(x, 1), y))
make.soft("soft-logits-as-probabilities", lambda xp, x, y: _of_probabilities(x, y))
make.soft("soft-over-batch", lambda xp, x, y: -tf.reduce_sum(y * tf.nn.log_softmax(x, 0), 1))
make.soft("soft-half", lambda xp, x, y: entropy(xp, x, y) / 2)
make.soft("soft-lse-unweighted", lambda xp, x, y: tf.reduce_logsumexp(x, 1) - tf.reduce_sum(y * x, 1))
make.soft("soft-online-unscaled", lambda xp, x, y: tf.reduce_sum(
    y * (_online(x, [x[:, :2], x[:, 2:]] if x.shape[1] > 2 else [x]) - x), 1))  # fmt: skip
