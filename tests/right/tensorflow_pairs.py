"""Right but different implementations of the loss of pairs, in TensorFlow."""

import tensorflow as tf

from ..mutants.tensorflow_pairs import Pairs, similarities, xp

make = Pairs(xp, "tensorflow", globals())


def _einsum(q, k, kind):
    return tf.einsum("id,jd->ij", q, k) if kind == "dot" else similarities(q, k, kind)


make.pairs("nce-sparse", body=lambda xp, s: tf.nn.sparse_softmax_cross_entropy_with_logits(
    tf.range(tf.shape(s)[0]), s), modes=("eager", "graph"))  # fmt: skip
make.pairs("nce-one-hot", body=lambda xp, s: -tf.reduce_sum(
    tf.where(xp.eye(s), tf.nn.log_softmax(s), 0), axis=1))  # fmt: skip
make.pairs("nce-double-inside", wide=lambda x: tf.cast(x, tf.float64))
make.pairs("nce-einsum", _einsum)
make.pairs("nce-own-first", body=lambda xp, s: tf.reduce_logsumexp(s - xp.own(s)[:, None], axis=1))
