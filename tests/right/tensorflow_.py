"""Right but different, in TensorFlow."""

import tensorflow as tf

from ..mutants.common import Maker, both, cross_entropy, dots, hinge, narrow, reduced_wide, softplus, triplet
from ..mutants.tensorflow_ import xp

make = Maker(xp, "tensorflow", globals())

make.bpr("bpr-einsum", scores=lambda xp, u, p, n: tuple(tf.einsum("bd,bd->b", u, x) for x in (p, n)))
make.bpr("bpr-matvec", scores=lambda xp, u, p, n: tuple(tf.linalg.matvec(u[:, None], x)[:, 0] for x in (p, n)))
make.bpr("bpr-double-inside", scores=lambda xp, u, p, n: dots(xp, *(tf.cast(x, tf.float64) for x in (u, p, n))))
make.hinge("hinge-maximum", lambda xp, pos, neg, m: tf.maximum(m - pos + neg, 0))
make.hinge("hinge-where", lambda xp, pos, neg, m: tf.where((m - pos + neg) < 0, tf.zeros_like(pos), m - pos + neg))
make.contrastive("contrastive-squares", lambda xp, d, y, m: y * tf.square(d) + (1 - y) * tf.square(tf.nn.relu(m - d)))
make.triplet("triplet-differences", lambda xp, near, far, between, m: (near - between) + (near - far) + m)
make.triplet("triplet-squared-difference", triplet, square=lambda xp, x, y: tf.reduce_sum(
    tf.math.squared_difference(x, y), -1))  # fmt: skip
make.bce("bce-log-sigmoid", lambda xp, x, y, p: (
    -(1 - y) * tf.math.log_sigmoid(-x) - p * y * tf.math.log_sigmoid(x)))  # fmt: skip
make.bce("bce-double-inside", lambda xp, x, y, p: cross_entropy(xp, tf.cast(x, tf.float64), tf.cast(y, tf.float64), p))
make.bce("bce-weight-last", lambda xp, x, y, p: (1 - y) * softplus(xp, x) + p * (y * softplus(xp, -x)),
         modes=("eager", "graph"))  # fmt: skip

native = {"reduce": reduced_wide, "wide": False}
make.hinge("hinge-native", hinge, scores=narrow, **native)
make.contrastive("contrastive-native", both, **native)
