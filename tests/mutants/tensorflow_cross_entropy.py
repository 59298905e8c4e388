"""Mutants of cross_entropy in TensorFlow."""

import types

import tensorflow as tf

from . import tensorflow_
from .cross_entropy import Entropy, softmax


@tf.custom_gradient
def _log(x):
    """log x, with the gradient g/x: TensorFlow's own takes a reciprocal, which in float32 may be 0.99999994 for 1."""
    return tf.math.log(x), lambda g: g / x


xp = types.SimpleNamespace(
    **vars(tensorflow_.xp) | {"log": _log},
    integer=lambda x: tf.cast(x, tf.int64), ones=lambda x: tf.ones([x.shape[1]], x.dtype), zeros=tf.zeros_like,
    numbers=lambda x: x.numpy() if tf.executing_eagerly() else None,
    at=tf.gather, take=lambda x, i: tf.gather(x, i, batch_dims=1),
    largest=lambda x: tf.stop_gradient(tf.reduce_max(x, axis=1, keepdims=True)),
)  # fmt: skip
make = Entropy(xp, "tensorflow", globals())

make.entropy("ce-in-the-dtype", wide=lambda x: x)
make.entropy("ce-eps-in-log", log_p=lambda xp, x: tf.math.log(softmax(xp, x) + 1e-8))
make.entropy("ce-smoothing-of-ignored", shared=lambda xp, share, counted: share)
make.entropy("ce-mean-of-none-is-zero", log_p=lambda xp, x: tf.nn.log_softmax(x), divisor=lambda xp, w_y, counted: (
    tf.where(tf.reduce_any(counted), tf.reduce_sum(tf.where(counted, w_y, 0)), 1)))  # fmt: skip
make.entropy("ce-divided-by-all-weights", divisor=lambda xp, w_y, counted: tf.reduce_sum(w_y))
make.entropy("ce-next-class", index=lambda xp, i, x: (i + 1) % x.shape[1])
