"""The losses of distances in TensorFlow. ``x ** 2`` is ``tf.pow``, which rounds more than once: squares are squares."""

import tensorflow as tf
from lossmark.tests.right_elsewhere.refusals import refuse_misfits
from lossmark.tests.right_elsewhere.shared_tensorflow import MODES, REDUCE, metric, norm, wide

from lossmark import Implementation


def linalg_norm(x, y):
    """tf.linalg.norm with what is zero replaced before and after it."""
    z = x - y
    none = tf.reduce_all(tf.equal(z, 0), axis=1)
    d = tf.linalg.norm(tf.where(none[:, tf.newaxis], tf.ones_like(z), z), axis=1)
    return tf.where(none, tf.zeros_like(d), d)


def double_where(x, y):
    """The root of the sum of squares, masked at 0 on both sides of the root."""
    return norm(x - y)


def euclidean(x, y):
    """reduce_euclidean_norm, masked where it is 0."""
    z = x - y
    none = tf.equal(tf.stop_gradient(tf.math.reduce_euclidean_norm(z, axis=1)), 0)
    d = tf.math.reduce_euclidean_norm(tf.where(none[:, tf.newaxis], tf.ones_like(z), z), axis=1)
    return tf.where(none, tf.zeros_like(d), d)


@tf.custom_gradient
def by_hand(x, y):
    """‖x - y‖, whose backward has divide_no_nan."""
    z = x - y
    d = tf.sqrt(tf.reduce_sum(tf.math.squared_difference(x, y), axis=1))

    def backward(upstream):
        along = tf.math.divide_no_nan(upstream, d)[:, tf.newaxis] * z
        return along, -along

    return d, backward


@tf.function
def per_example(x, y):
    """One pair after the other in a graph, the root under cond."""

    def one(pair):
        square = tf.tensordot(pair[0] - pair[1], pair[0] - pair[1], 1)
        return tf.cond(tf.equal(square, 0), lambda: tf.zeros_like(square), lambda: tf.sqrt(square))

    return tf.map_fn(one, (x, y), fn_output_signature=x.dtype)


def formula(d, y, margin):
    """As it is printed."""
    return y * (d * d) + (1 - y) * tf.square(tf.maximum(margin - d, 0))


def chosen(d, y, margin):
    """Hard labels choose, soft ones mix."""
    same, other = tf.square(d), tf.square(tf.nn.relu(margin - d))
    return tf.where(y == 1, same, tf.where(y == 0, other, y * same + (1 - y) * other))


def weighted(d, y, margin):
    """Weights times squares, summed over the two of them."""
    squares = tf.stack([d * d, tf.square(tf.where(d >= margin, tf.zeros_like(d), margin - d))], axis=1)
    return tf.reduce_sum(tf.stack([y, 1 - y], axis=1) * squares, axis=1)


def partitioned(d, y, margin):
    """Same, other and soft pairs apart, stitched together."""
    part = tf.where(y == 1, 1, tf.where(y == 0, 0, 2))
    places = tf.dynamic_partition(tf.range(tf.size(d)), part, 3)
    other, same, soft = tf.dynamic_partition(d, part, 3)
    weight = tf.boolean_mask(y, part == 2)
    mixed = weight * tf.square(soft) + (1 - weight) * tf.square(tf.nn.relu(margin - soft))
    return tf.dynamic_stitch(places, [tf.square(tf.nn.relu(margin - other)), tf.square(same), mixed])


def sqnorm(x, y):
    """‖x - y‖² over the last axis."""
    return tf.reduce_sum(tf.math.squared_difference(x, y), axis=-1)


def triplet_exchange(anc, pos, neg, label, margin):
    """Label 0 exchanges the two others."""
    first = (label == 1)[:, tf.newaxis]
    near, far = tf.where(first, pos, neg), tf.where(first, neg, pos)
    return 2 * sqnorm(near, anc) - sqnorm(near, far) - sqnorm(anc, far) + margin + 0 * label


def triplet_factors(anc, pos, neg, label, margin):
    """Factors that are linear in the label."""
    factors = tf.stack([3 * label - 1, -tf.ones_like(label), 2 - 3 * label], axis=1)
    squares = tf.stack([sqnorm(pos, anc), sqnorm(pos, neg), sqnorm(anc, neg)], axis=1)
    return tf.einsum("bk,bk->b", factors, squares) + margin


def triplet_both(anc, pos, neg, label, margin):
    """Both losses; the label chooses, and a NaN label is the loss."""
    ap, pn, an = sqnorm(pos, anc), sqnorm(pos, neg), sqnorm(anc, neg)
    one, zero = margin + (2 * ap - (pn + an)), margin + (2 * an - (pn + ap))
    return tf.where(label != label, label, tf.where(label > 0.5, one, zero))


def triplet_element(anc, pos, neg, label, margin):
    """The three squares of an element are joined before the sum."""
    ap, pn, an = (tf.math.squared_difference(x, y) for x, y in ((pos, anc), (pos, neg), (anc, neg)))
    joined = tf.where((label == 1)[:, tf.newaxis], 2 * ap - pn - an, 2 * an - pn - ap)
    return tf.reduce_sum(joined, axis=1) + margin + 0 * label


def triplet_loop(anc, pos, neg, label, margin):
    """A while loop over blocks of columns with three running sums, one row of factors for each label."""
    size, step = anc.shape[1], 64

    def add(at, sums):
        a, p, n = (x[:, at : at + step] for x in (anc, pos, neg))
        return at + step, sums + tf.stack([sqnorm(p, a), sqnorm(p, n), sqnorm(a, n)])

    start = (tf.constant(0), tf.zeros([3, anc.shape[0]], anc.dtype))
    rounds = -(-size // step)
    _, sums = tf.while_loop(lambda at, _: at < size, add, start, maximum_iterations=rounds)
    near, far = tf.where(label == 1, sums[0], sums[2]), tf.where(label == 1, sums[2], sums[0])
    return (near - sums[1]) + (near - far) + margin + 0 * label


class Contrastive(tf.Module):
    """A module with the margin as its attribute."""

    def __init__(self, margin=1.0):
        super().__init__(name="contrastive")
        self.margin = margin

    def __call__(self, x1, x2, y, margin=None, reduction="mean"):
        """Rows [B, D] twice, labels [B]; the positive part takes the sum of squares as it is."""
        refuse_misfits(x1, x2, label=y)
        square = sqnorm(wide(x1), wide(x2))
        y = tf.cast(y, square.dtype)
        none = square == 0
        d = tf.where(none, tf.zeros_like(square), tf.sqrt(tf.where(none, tf.ones_like(square), square)))
        short = tf.nn.relu((self.margin if margin is None else margin) - d)
        return tf.cast(REDUCE[reduction](y * square + (1 - y) * short * short), x1.dtype)


safe_linalg = metric("linalg-norm", linalg_norm, formula, triplet_exchange)
safe_root = metric("double-where", double_where, chosen, triplet_factors)
reduced = metric("euclidean-norm", euclidean, weighted, triplet_both)
hand = metric("custom-gradient-norm", by_hand, formula, triplet_element)
rows = metric("map-fn-partition", per_example, partitioned, triplet_loop, modes=("eager", "graph"))
module = Implementation("elsewhere/tensorflow-module", framework="tensorflow", modes=MODES)
module.loss("contrastive_pair")(Contrastive())
