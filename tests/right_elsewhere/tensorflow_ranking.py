"""Hinge and BPR in TensorFlow: products of matrices, maps, loops, segments and gradients by hand."""

import tensorflow as tf
from lossmark.tests.right_elsewhere.refusals import COSINE_GUARD, refuse_misfits
from lossmark.tests.right_elsewhere.shared_tensorflow import MODES, REDUCE, ranking, wide

from lossmark import Implementation

COLUMNS = 48


def einsum(x, y):
    """b d, b d -> b."""
    return tf.einsum("bd,bd->b", x, y)


def matmul(x, y):
    """Row by column."""
    return tf.reshape(tf.linalg.matmul(x[:, tf.newaxis, :], y[:, :, tf.newaxis]), [-1])


def matvec(x, y):
    """A matrix of one row by a vector."""
    return tf.squeeze(tf.linalg.matvec(tf.expand_dims(x, 1), y), axis=1)


def vectorized(x, y):
    """vectorized_map of a product of vectors."""
    return tf.vectorized_map(lambda pair: tf.tensordot(pair[0], pair[1], 1), (x, y)) if len(x) else einsum(x, y)


@tf.function
def mapped(x, y):
    """One example after the other, in a graph."""
    return tf.map_fn(lambda pair: tf.reduce_sum(pair[0] * pair[1]), (x, y), fn_output_signature=x.dtype)


def segments(x, y):
    """Every product is added to its example's entry."""
    index = tf.repeat(tf.range(x.shape[0]), x.shape[1])
    return tf.math.unsorted_segment_sum(tf.reshape(x * y, [-1]), index, x.shape[0])


def columns(x, y):
    """A few columns at a time."""
    starts = range(0, x.shape[1], COLUMNS)
    return tf.add_n([tf.reduce_sum(x[:, at : at + COLUMNS] * y[:, at : at + COLUMNS], axis=1) for at in starts])


def halved(x, y):
    """A tree: the one half of the columns is added to the other until one is left."""
    terms = x * y
    while terms.shape[1] > 1:
        half = terms.shape[1] // 2
        terms = tf.concat([terms[:, :half] + terms[:, half : 2 * half], terms[:, 2 * half :]], axis=1)
    return terms[:, 0]


def double(x, y):
    """Products and sums in float64, rounded once."""
    return tf.cast(tf.reduce_sum(tf.cast(x, tf.float64) * tf.cast(y, tf.float64), axis=-1), x.dtype)


def two_sided(x):
    """Both sides with an exp that cannot overflow; the side not taken sees 0."""
    above, below = tf.where(x > 0, x, tf.zeros_like(x)), tf.where(x > 0, tf.zeros_like(x), x)
    return tf.where(x > 0, x + tf.math.log1p(tf.exp(-above)), tf.math.log1p(tf.exp(below)))


@tf.custom_gradient
def softplus_by_hand(x):
    """log(1 + exp(x)), whose gradient is the sigmoid."""
    value = tf.maximum(x, 0) + tf.math.log1p(tf.exp(-tf.abs(x)))
    return value, lambda upstream: upstream * tf.sigmoid(x)


def clamped_exponent(x):
    """log1p(exp(x)) up to 40, x beyond."""
    return tf.where(x > 40, x, tf.math.log1p(tf.exp(tf.minimum(x, 40))))


def relu(s_pos, s_neg, margin):
    """As the formula stands."""
    return tf.nn.relu(margin - s_pos + s_neg)


def maximum(s_pos, s_neg, margin):
    """The gap first; the slope at the kink is 1."""
    return tf.maximum(margin - (s_pos - s_neg), 0)


def where(s_pos, s_neg, margin):
    """By where; NaN goes through."""
    z = margin + s_neg - s_pos
    return tf.where(z <= 0, tf.zeros_like(z), z)


def gathered(s_pos, s_neg, margin):
    """Only the active examples are computed, and put back by scatter_nd."""
    rows = tf.where(~(margin - s_pos + s_neg <= 0))
    active = margin - tf.gather_nd(s_pos, rows) + tf.gather_nd(s_neg, rows)
    return tf.scatter_nd(rows, active, tf.shape(s_pos, out_type=tf.int64))


def safe_norms(x, y, s):
    """tf.norm with what is zero replaced before it."""

    def norm(z):
        none = tf.reduce_all(tf.equal(z, 0), axis=-1, keepdims=True)
        return tf.where(none[:, 0], tf.zeros_like(s), tf.linalg.norm(tf.where(none, tf.ones_like(z), z), axis=-1))

    norms = norm(x) * norm(y)
    guarded = norms <= COSINE_GUARD
    return tf.where(guarded, s / COSINE_GUARD, s / tf.where(guarded, tf.ones_like(norms), norms))


def double_root(x, y, s):
    """One root of the product of squared norms, in float64, where it neither overflows nor vanishes."""
    squares = [tf.reduce_sum(tf.square(tf.cast(z, tf.float64)), axis=1) for z in (x, y)]
    return s * tf.cast(tf.math.rsqrt(tf.maximum(squares[0] * squares[1], COSINE_GUARD**2)), s.dtype)


@tf.custom_gradient
def fused_gap(u, d_pos, d_neg):
    """<u, d-> - <u, d+> as diagonals of products, with its gradient by hand."""
    gap = tf.linalg.diag_part(tf.matmul(u, d_neg, transpose_b=True))
    gap -= tf.linalg.diag_part(tf.matmul(u, d_pos, transpose_b=True))

    def backward(upstream):
        slope = upstream[:, tf.newaxis]
        return slope * d_neg - slope * d_pos, -slope * u, slope * u

    return gap, backward


contraction = ranking("einsum", einsum, relu, two_sided)
products = ranking("matmul", matmul, maximum, softplus_by_hand, cosine=safe_norms)
vectors = ranking("matvec", matvec, where, clamped_exponent)
vmapped = ranking("vectorized-map", vectorized, relu, two_sided, modes=("eager", "graph"))
rows = ranking("map-fn", mapped, maximum, softplus_by_hand, modes=("eager", "graph"))
segmented = ranking("segment-sum", segments, where, two_sided)
blocks = ranking("blocks-of-columns", columns, gathered, clamped_exponent, modes=("eager", "graph"))
tree = ranking("tree", halved, relu, softplus_by_hand, cosine=safe_norms)
doubled = ranking("double-inside", double, maximum, two_sided, cosine=double_root)
diagonal = Implementation("elsewhere/tensorflow-diagonal", framework="tensorflow", modes=MODES)


@diagonal.loss("pairwise_hinge")
def hinge_of_diagonals(u, d_pos, d_neg, *, margin=1.0, reduction="mean"):
    """Scores as diagonals."""
    refuse_misfits(u, d_pos, d_neg)
    loss = tf.nn.relu(fused_gap(wide(u), wide(d_pos), wide(d_neg)) + margin)
    return tf.cast(REDUCE[reduction](loss), u.dtype)


@diagonal.loss("bpr")
def bpr_of_diagonals(u, d_pos, d_neg, *, reduction="mean"):
    """Scores as diagonals."""
    refuse_misfits(u, d_pos, d_neg)
    loss = softplus_by_hand(fused_gap(wide(u), wide(d_pos), wide(d_neg)))
    return tf.cast(REDUCE[reduction](loss), u.dtype)
