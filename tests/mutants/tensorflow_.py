"""Mutants in TensorFlow."""

import os
import types

import tensorflow as tf

from . import common
from .common import Maker, both, cross_entropy, dots, euclidean, reduced, softplus, squared, triplet

xp = types.SimpleNamespace(
    wide=lambda x: tf.cast(x, tf.float64 if x.dtype == tf.float64 else tf.float32), cast=tf.cast,
    sum=lambda x: tf.reduce_sum(x, -1), total=tf.reduce_sum, average=tf.reduce_mean, where=tf.where, relu=tf.nn.relu,
    exp=tf.exp, log=tf.math.log, log1p=tf.math.log1p,
    softplus=lambda x: -tf.math.log_sigmoid(-x),
    sqrt=tf.sqrt, abs=tf.abs, sigmoid=tf.sigmoid,
    log_softmax=lambda x: tf.nn.log_softmax(x, 1),
)  # fmt: skip
make = Maker(xp, "tensorflow", globals())

make.bpr("bpr-naive-exp", lambda xp, x: tf.math.log(1 + tf.exp(x)))
make.bpr("bpr-sigmoid-eps", lambda xp, x: -tf.math.log(tf.sigmoid(-x) + 1e-10))
make.bpr("bpr-cross-entropy", lambda xp, x: tf.nn.sigmoid_cross_entropy_with_logits(tf.ones_like(x), -x))
make.bpr("bpr-constant-added", lambda xp, x: softplus(xp, x) + 1e-4)
make.bpr("bpr-wrong-under-graph", lambda xp, x: (
    softplus(xp, x) if tf.executing_eagerly() else 1.0625 * softplus(xp, x)), modes=("eager", "graph"))  # fmt: skip
make.bpr("bpr-native-softplus", lambda xp, x: tf.nn.softplus(x), scores=common.narrow,
         reduce=common.reduced_wide, wide=False)  # fmt: skip
make.bpr("bpr-nan-hidden", lambda xp, x: tf.where(tf.math.is_nan(x), tf.zeros_like(x), softplus(xp, x)))
make.bpr("bpr-one-side-stopped", scores=lambda xp, u, p, n: dots(xp, u, tf.stop_gradient(p), n))
make.hinge("hinge-margin-twice", lambda xp, pos, neg, m: tf.nn.relu(2 * m - pos + neg))
make.hinge("hinge-missing-positive", lambda xp, pos, neg, m: tf.nn.relu(m + neg + 0 * pos))
make.hinge("hinge-log-cosh", lambda xp, pos, neg, m: tf.math.softplus(m - pos + neg))
make.cosine("cosine-product-of-squares", common.cosine_of_squares, wide=False)
make.contrastive("contrastive-squares-by-pow", lambda xp, d, y, m: y * d**2 + (1 - y) * xp.relu(m - d) ** 2)
make.contrastive("contrastive-flipped-label", lambda xp, d, y, m: both(xp, d, 1 - y, m))
make.contrastive("contrastive-half", lambda xp, d, y, m: both(xp, d, y, m) / 2)
make.contrastive("contrastive-margin-on-square", lambda xp, d, y, m: y * d**2 + (1 - y) * tf.nn.relu(m - d**2))
make.contrastive("contrastive-unsquared", lambda xp, d, y, m: y * d + (1 - y) * tf.nn.relu(m - d))
make.contrastive("contrastive-sum-for-mean", both, reduce=common.total_for_mean)
make.contrastive("contrastive-signed-label", lambda xp, d, y, m: both(xp, d, (1 + y) / 2, m))
make.bce("bce-weighted-cross-entropy", lambda xp, x, y, p: tf.nn.weighted_cross_entropy_with_logits(
    labels=y, logits=x, pos_weight=p))  # fmt: skip
make.bce("bce-cross-entropy-without-weight", lambda xp, x, y, p: tf.nn.sigmoid_cross_entropy_with_logits(
    labels=y, logits=x))  # fmt: skip
make.bce("bce-keras", lambda xp, x, y, p: (1 + (p - 1) * y) * tf.keras.losses.binary_crossentropy(
    y[:, None], tf.sigmoid(x)[:, None]))  # fmt: skip
make.bce("bce-smoothed", lambda xp, x, y, p: cross_entropy(xp, x, 0.9375 * y + 0.03125, p))
make.bce("bce-half", lambda xp, x, y, p: cross_entropy(xp, x, y, p) / 2)
make.bce("bce-weight-at-least-one", lambda xp, x, y, p: cross_entropy(xp, x, y, max(p, 1.0)))
make.bce("bce-none-reduced", reduce=common.reduced_always)
make.pair("pair-eps-in-root", lambda xp, x, y: tf.sqrt(squared(xp, x, y) + 1e-6))
make.pair("pair-nan-gradient", lambda xp, x, y: tf.norm(x - y, axis=-1))
make.pair("pair-nan-beyond-25-rows", lambda xp, x, y: (
    euclidean(xp, x, y) if x.shape[0] <= 25 else tf.norm(x - y, axis=-1)))  # fmt: skip
make.pair("pair-squared-distance", squared)
make.pair("pair-city-block", lambda xp, x, y: tf.reduce_sum(tf.abs(x - y), -1))
make.triplet("triplet-missing-term", lambda xp, near, far, between, m: 2 * near - far + m + 0 * between)
make.triplet("triplet-factor-one", lambda xp, near, far, between, m: near - between - far + m)
make.triplet("triplet-last-columns-lost", triplet, square=lambda xp, x, y: squared(xp, *common.whole_blocks(x, y)))
make.triplet("triplet-label-flipped", triplet, label=lambda xp, y: y != 1)
make.triplet("triplet-unsquared", triplet, square=euclidean)

# -- one graph used more than once -----------------------------------------------------------------------------------


@tf.custom_gradient
def _scaled_in_place(x):
    slope = tf.Variable(tf.sigmoid(x))
    return softplus(xp, x), lambda g: tf.identity(slope.assign(slope * g))


make.bpr("bpr-scaled-in-place", lambda xp, x: _scaled_in_place(x))

# -- what a first call leaves ----------------------------------------------------------------------------------------

make.bpr("bpr-environment-at-first", lambda xp, x: os.environ.setdefault("TF_CUDNN_DETERMINISTIC", "1") and (
    softplus(xp, x)))  # fmt: skip

# -- gradients beside values that are right --------------------------------------------------------------------------


@tf.custom_gradient
def _not_averaged(x):
    return tf.reduce_mean(x), lambda g: g * tf.ones_like(x)


def _default(u, d_pos, d_neg, *, reduction=None):
    pos, neg = dots(xp, *make._ready(u, d_pos, d_neg))
    loss = softplus(xp, neg - pos)
    return tf.cast(_not_averaged(loss) if reduction is None else reduced(xp, loss, reduction), u.dtype)


make.bind("bpr-default-not-averaged", "bpr", _default)
