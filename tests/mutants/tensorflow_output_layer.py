"""Mutants of linear_cross_entropy in TensorFlow."""

import types

import tensorflow as tf

from . import tensorflow_cross_entropy
from .output_layer import OutputLayer, all_rows

xp = types.SimpleNamespace(
    **vars(tensorflow_cross_entropy.xp), matmul=lambda h, w: tf.linalg.matmul(h, w, transpose_b=True)
)  # fmt: skip
make = OutputLayer(xp, "tensorflow", globals())


@tf.custom_gradient
def _layer_unscaled(h, w):
    """The logits, whose gradient by the layer takes the sign of what comes in and not its size."""

    def gradient(g):
        size = tf.reduce_sum(tf.abs(g), axis=1, keepdims=True)
        unit = tf.math.divide_no_nan(g, size)
        return tf.linalg.matmul(g, w), tf.linalg.matmul(unit, h, transpose_a=True)

    return xp.matmul(h, w), gradient


make.layer("lce-in-the-dtype", wide=lambda x: x)
make.layer("lce-next-class", index=lambda xp, i, x: (i + 1) % x.shape[1])
make.layer("lce-layer-unscaled", product=lambda xp, h, w: _layer_unscaled(h, w))
make.layer("lce-layer-stopped", product=lambda xp, h, w: xp.matmul(h, tf.stop_gradient(w)))
make.layer("lce-mean-over-all-rows", divisor=all_rows)
