"""Right but different, in TensorFlow, of the losses over classes."""

import tensorflow as tf

from ..mutants.common import Maker, entropy
from ..mutants.tensorflow_ import xp

make = Maker(xp, "tensorflow", globals())


@tf.custom_gradient
def _fused(x, y):
    def back(g):
        return g[:, None] * (tf.nn.softmax(x, 1) * tf.reduce_sum(y, 1, keepdims=True) - y), None

    return entropy(xp, x, y), back


def _below(x):
    return x - tf.stop_gradient(tf.reduce_max(x, 1, keepdims=True))


@tf.custom_gradient
def _log_of_sum(z):
    """log Σ exp(z), with softmax as its gradient: that of tf.math.log takes a reciprocal that is not exact at 1."""
    return tf.math.log(tf.reduce_sum(tf.exp(z), 1, keepdims=True)), lambda g: g * tf.nn.softmax(z, 1)


make.soft("soft-log-softmax", modes=("eager", "graph"))
make.soft("soft-fused", lambda xp, x, y: _fused(x, y))
make.soft("soft-double-inside", lambda xp, x, y: entropy(xp, tf.cast(x, tf.float64), tf.cast(y, tf.float64)))
make.soft("soft-below-largest", lambda xp, x, y: tf.reduce_sum(y * (_log_of_sum(_below(x)) - _below(x)), 1))
make.soft("soft-classes-reversed", lambda xp, x, y: entropy(xp, tf.reverse(x, [1]), tf.reverse(y, [1])))
make.soft("soft-einsum", lambda xp, x, y: -tf.einsum("bc,bc->b", y, tf.nn.log_softmax(x, 1)))
