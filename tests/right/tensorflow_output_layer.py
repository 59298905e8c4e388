"""Right but different implementations of linear_cross_entropy, in TensorFlow."""

import tensorflow as tf

from ..mutants.tensorflow_output_layer import OutputLayer, xp

make = OutputLayer(xp, "tensorflow", globals())


def _sparse(xp, x, index):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=index, logits=x)


make.layer("lce-sparse", cost=_sparse, modes=("eager", "graph"))
make.layer("lce-einsum", product=lambda xp, h, w: tf.einsum("bd,cd->bc", h, w))
make.layer("lce-double-inside", wide=lambda x: tf.cast(x, tf.float64), cost=_sparse)
