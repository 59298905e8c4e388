"""Right but different implementations of cross_entropy, in TensorFlow."""

import tensorflow as tf

from ..mutants.tensorflow_cross_entropy import Entropy, xp

make = Entropy(xp, "tensorflow", globals())


def _one_hot(xp, x, index):
    return tf.reduce_sum(tf.where(tf.one_hot(index, x.shape[1], on_value=True, off_value=False), x, 0), axis=1)


@tf.custom_gradient
def _fused(x):
    return tf.nn.log_softmax(x), lambda g: g - tf.nn.softmax(x) * tf.reduce_sum(g, axis=1, keepdims=True)


make.entropy("ce-below-largest")
make.entropy("ce-log-softmax", log_p=lambda xp, x: tf.nn.log_softmax(x), modes=("eager", "graph"))
make.entropy("ce-double-inside", wide=lambda x: tf.cast(x, tf.float64), log_p=lambda xp, x: tf.nn.log_softmax(x))
make.entropy("ce-one-hot", pick=_one_hot)
make.entropy("ce-fused", log_p=lambda xp, x: _fused(x))
