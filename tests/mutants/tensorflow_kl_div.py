"""Mutants of kl_div in TensorFlow."""

import tensorflow as tf

from .common import Maker, divergence, log_or_zero, reduced, terms, total_for_mean
from .tensorflow_ import xp

make = Maker(xp, "tensorflow", globals())


def _keras(p, q):
    """What Keras makes of probabilities: both clipped to [1e-7, 1]."""
    p, q = (tf.clip_by_value(x, 1e-7, 1) for x in (p, q))
    return tf.reduce_sum(p * tf.math.log(p / q), -1)


def _mean_of_elements(log_q, p, *, reduction="mean"):
    x = xp.wide(log_q)
    each = terms(xp, x, xp.cast(p, x.dtype))
    return xp.cast(tf.reduce_mean(each) if reduction == "mean" else reduced(xp, xp.sum(each), reduction), log_q.dtype)


make.kl("kl-keras", lambda xp, x, y: _keras(y, tf.exp(x)))
make.kl("kl-keras-of-log-q", lambda xp, x, y: _keras(y, x))
make.kl("kl-reversed", lambda xp, x, y: tf.reduce_sum(tf.exp(x) * (x - log_or_zero(xp, y)), 1))
make.kl("kl-generalised", lambda xp, x, y: divergence(xp, x, y) + tf.reduce_sum(tf.exp(x) - y, 1))
make.kl("kl-nan-at-zero", lambda xp, x, y: tf.reduce_sum(y * (tf.math.log(y) - x), 1))
make.kl("kl-cross-entropy", lambda xp, x, y: -tf.reduce_sum(y * x, 1))
make.kl("kl-missing-class-hidden", lambda xp, x, y: tf.reduce_sum(
    tf.where(tf.math.is_finite(x), terms(xp, x, y), tf.zeros_like(x)), 1))  # fmt: skip
make.kl("kl-half", lambda xp, x, y: divergence(xp, x, y) / 2)
make.kl("kl-sum-for-mean", reduce=total_for_mean)
make.bind("kl-mean-of-elements", "kl_div", _mean_of_elements)
