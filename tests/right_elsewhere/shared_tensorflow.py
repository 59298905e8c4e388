"""Parts of the implementations in TensorFlow: accumulation in float32 at least, reduction, registration."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from lossmark.tests.right_elsewhere.refusals import COSINE_GUARD, chosen, refuse_misfits

from lossmark import Implementation

REDUCE: dict[str, Callable[[Any], Any]] = {"none": tf.identity, "sum": tf.reduce_sum, "mean": tf.reduce_mean}
MODES = ("eager", "graph", "xla")


def wide(x):
    """At least float32, in which 16-bit sums accumulate."""
    return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)


def norm(x):
    """Rows' norms; what is zero never reaches the root, so that its gradient is 0."""
    square = tf.reduce_sum(tf.square(x), axis=-1)
    none = tf.equal(square, 0)
    return tf.where(none, tf.zeros_like(square), tf.sqrt(tf.where(none, tf.ones_like(square), square)))


def over_norms(x, y, s):
    """The cosine of rows [B, D] whose dot products [B] are known."""
    return s / tf.maximum(norm(x) * norm(y), COSINE_GUARD)


def ranking(
    name: str,
    dot: Callable[[Any, Any], Any],
    hinge: Callable[[Any, Any, Any], Any],
    bpr: Callable[[Any], Any],
    *,
    cosine: Callable[[Any, Any, Any], Any] = over_norms,
    modes: tuple[str, ...] = MODES,
) -> Implementation:
    """Both losses of scores: ``dot`` and ``cosine`` of rows, ``hinge(s+, s-, margin)``, ``bpr(s- - s+)``."""
    impl = Implementation(f"elsewhere/tensorflow-{name}", framework="tensorflow", modes=modes)

    def scores(u, d_pos, d_neg, similarity):
        refuse_misfits(u, d_pos, d_neg)
        u, d_pos, d_neg = wide(u), wide(d_pos), wide(d_neg)
        s_pos, s_neg = dot(u, d_pos), dot(u, d_neg)
        return (cosine(u, d_pos, s_pos), cosine(u, d_neg, s_neg)) if chosen(similarity) else (s_pos, s_neg)

    def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, similarity="dot", reduction="mean"):
        loss = hinge(*scores(u, d_pos, d_neg, similarity), margin)
        return tf.cast(REDUCE[reduction](loss), u.dtype)

    def bayesian(u, d_pos, d_neg, *, similarity="dot", reduction="mean"):
        s_pos, s_neg = scores(u, d_pos, d_neg, similarity)
        return tf.cast(REDUCE[reduction](bpr(s_neg - s_pos)), u.dtype)

    impl.loss("pairwise_hinge")(pairwise_hinge)
    impl.loss("bpr")(bayesian)
    return impl


def metric(
    name: str,
    distance: Callable[[Any, Any], Any],
    terms: Callable[[Any, Any, Any], Any],
    triplet: Callable[[Any, Any, Any, Any, Any], Any],
    *,
    modes: tuple[str, ...] = MODES,
) -> Implementation:
    """The losses of distances: ``distance`` of rows, ``terms(d, y, margin)``, ``triplet(a, p, n, label, margin)``."""
    impl = Implementation(f"elsewhere/tensorflow-{name}", framework="tensorflow", modes=modes)

    def contrastive(d, y, *, margin=1.0, reduction="mean"):
        refuse_misfits(d, label=y)
        return tf.cast(REDUCE[reduction](terms(wide(d), tf.cast(y, wide(d).dtype), margin)), d.dtype)

    def contrastive_pair(x1, x2, y, *, margin=1.0, reduction="mean"):
        refuse_misfits(x1, x2, label=y)
        d = distance(wide(x1), wide(x2))
        return tf.cast(REDUCE[reduction](terms(d, tf.cast(y, d.dtype), margin)), x1.dtype)

    def labeled_triplet(anc, pos, neg, label, *, margin=1.0, reduction="mean"):
        refuse_misfits(anc, pos, neg, label=label)
        a, p, n = wide(anc), wide(pos), wide(neg)
        return tf.cast(REDUCE[reduction](triplet(a, p, n, tf.cast(label, a.dtype), margin)), anc.dtype)

    impl.loss("contrastive")(contrastive)
    impl.loss("contrastive_pair")(contrastive_pair)
    impl.loss("labeled_triplet")(labeled_triplet)
    return impl
