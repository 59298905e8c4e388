"""Mutants of the loss of pairs in TensorFlow."""

import types

import tensorflow as tf
from lossmark.impls.tensorflow_.similarity import similarities

from . import pairs, tensorflow_
from .pairs import Pairs, own_class

xp = types.SimpleNamespace(
    **vars(tensorflow_.xp),
    similarities=similarities, own=tf.linalg.diag_part, turned=tf.transpose,
    lse=lambda s: tf.reduce_logsumexp(s, axis=1), eye=lambda s: tf.eye(s.shape[0], dtype=s.dtype) == 1,
    infinite=lambda s: tf.fill(s.shape, tf.constant(float("-inf"), s.dtype)),
    beside=lambda s, own: tf.concat([s, own[:, None]], 1),
)  # fmt: skip
make = Pairs(xp, "tensorflow", globals())

make.pairs("nce-own-left-out", body=pairs.own_left_out)
make.pairs("nce-own-twice", body=pairs.own_twice)
make.pairs("nce-symmetric", body=pairs.both_directions)
make.pairs("nce-own-masked-beyond-64", body=lambda xp, s: (pairs.own_left_out if len(s) > 64 else own_class)(xp, s))
make.pairs("nce-query-stopped", lambda q, k, kind: similarities(tf.stop_gradient(q), k, kind))
make.pairs("nce-cosine-always", lambda q, k, kind: similarities(q, k, "cosine"))
make.pairs("nce-in-the-dtype", lambda q, k, kind: tf.cast(similarities(xp.wide(q), xp.wide(k), kind), q.dtype),
           wide=lambda x: x)  # fmt: skip
make.pairs("nce-cosine-loss", body=lambda xp, s: -xp.own(s))
