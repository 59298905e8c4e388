"""Reported defects as losses in TensorFlow and Keras."""

import tensorflow as tf

from ..mutants.common import Maker, both, check, check_label, reduced, reduced_wide, squared, total_for_mean, triplet
from ..mutants.tensorflow_ import xp

make = Maker(xp, "tensorflow", globals())


def _over_similar(xp, loss, y, reduction):
    """0/0 is added where no pair is similar."""
    count = tf.reduce_sum(tf.cast(y > 0.5, loss.dtype)) if reduction == "mean" else 1
    return reduced(xp, loss, reduction) + 0 * count / count


def _no_similar_pair(d, y, *, margin=1.0, reduction="mean"):
    check(d)
    check_label(y, d)
    x = xp.wide(d)
    y = tf.cast(y, x.dtype)
    return tf.cast(_over_similar(xp, both(xp, x, y, margin), y, reduction), d.dtype)


def _nan_in_bfloat16(anc, pos, neg, label, *, margin=1.0, reduction="mean"):
    check(anc, pos, neg)
    check_label(label, anc)
    a, p, n = map(xp.wide, (anc, pos, neg))
    ap, an, pn = squared(xp, p, a), squared(xp, a, n), squared(xp, p, n)
    same = tf.cast(label, a.dtype) == 1
    loss = triplet(xp, tf.where(same, ap, an), tf.where(same, an, ap), pn, margin)
    loss = (loss + 0 * tf.cast(label, a.dtype)) * (float("nan") if anc.dtype == tf.bfloat16 else 1.0)
    return tf.cast(reduced(xp, loss, reduction), anc.dtype)


def _half_count(xp, loss, reduction):
    """In float16 the number of examples is a float16, which is infinite from 65,520 on."""
    if loss.dtype != tf.float16 or reduction != "mean":
        return reduced_wide(xp, loss, reduction)
    return tf.reduce_sum(xp.wide(loss)) / xp.wide(tf.cast(tf.shape(loss)[0], tf.float16))


def _opposite(xp, x, y):
    product = tf.norm(x, axis=-1) * tf.norm(y, axis=-1)
    return -tf.reduce_sum(x * y, -1) / tf.maximum(product, 1e-8)


make.bpr("bpr-probability-clipped", lambda xp, x: -tf.math.log(tf.clip_by_value(tf.sigmoid(-x), 1e-7, 1 - 1e-7)))
make.hinge("hinge-rival-at-least-0", lambda xp, pos, neg, m: tf.nn.relu(m - pos + tf.maximum(neg, 0)))
make.cosine("cosine-minus-sign-lost", _opposite)
make.contrastive("contrastive-label-of-the-paper", lambda xp, d, y, m: both(xp, d, 1 - y, m))
make.contrastive("contrastive-grows-with-the-batch", both, reduce=total_for_mean)
make.contrastive("contrastive-half-count", both, reduce=_half_count, wide=False)
make.bind("contrastive-no-similar-pair", "contrastive", _no_similar_pair)
make.pair("pair-tf-norm", lambda xp, x, y: tf.norm(x - y, ord="euclidean", axis=1))
make.bind("triplet-nan-in-bfloat16", "labeled_triplet", _nan_in_bfloat16)
