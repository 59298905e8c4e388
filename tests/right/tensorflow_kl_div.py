"""Right but different, in TensorFlow, of kl_div."""

import tensorflow as tf

from ..mutants.common import Maker, divergence, log_or_zero, terms
from ..mutants.tensorflow_ import xp

make = Maker(xp, "tensorflow", globals())


@tf.custom_gradient
def _fused(x, y):
    return divergence(xp, x, y), lambda g: (-g[:, None] * y, None)


make.kl("kl-guarded", modes=("eager", "graph"))
make.kl("kl-terms-in-the-dtype", lambda xp, x, y: tf.reduce_sum(xp.wide(terms(xp, x, y)), 1), wide=False)
make.kl("kl-xlogy", lambda xp, x, y: tf.reduce_sum(tf.math.xlogy(y, y) - y * x, 1), modes=("eager", "graph"))
make.kl("kl-no-nan", lambda xp, x, y: tf.reduce_sum(tf.math.multiply_no_nan(tf.math.log(y), y) - y * x, 1))
make.kl("kl-fused", lambda xp, x, y: _fused(x, y))
make.kl("kl-double-inside", lambda xp, x, y: divergence(xp, tf.cast(x, tf.float64), tf.cast(y, tf.float64)))
make.kl("kl-classes-reversed", lambda xp, x, y: divergence(xp, tf.reverse(x, [1]), tf.reverse(y, [1])))
make.kl("kl-einsum", lambda xp, x, y: tf.einsum("bc,bc->b", y, log_or_zero(xp, y) - x))
