"""tf.nn: its cross entropies of logits."""

from __future__ import annotations

import tensorflow as tf
from lossmark.impls.peers.evaluated import HARD

from lossmark import Deviation, Implementation

impl = Implementation("tensorflow-nn", framework="tensorflow", version=tf.__version__, modes=("eager", "graph"))

PAGE = "https://www.tensorflow.org/api_docs/python/tf/nn"


def _reduced(loss: tf.Tensor, reduction: str) -> tf.Tensor:
    if reduction == "none":
        return loss
    return tf.reduce_sum(loss) if reduction == "sum" else tf.reduce_mean(loss)


ROUNDED_SUM = Deviation(
    why="in 16 bits the log-probabilities are sums in the dtype of the logits",
    formula=HARD,
    slope=HARD,
    accumulate="dtype",
    url=f"{PAGE}/sparse_softmax_cross_entropy_with_logits",
)


@impl.loss("cross_entropy", deviates=ROUNDED_SUM)
def cross_entropy(logits: tf.Tensor, target: tf.Tensor, *, reduction: str = "mean") -> tf.Tensor:
    """``sparse_softmax_cross_entropy_with_logits``: without weights, ignored rows and smoothing."""
    return _reduced(tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits), reduction)


SUM_OF_ONE = Deviation(
    why="its gradient is that for targets which sum to 1",
    formula="sum(target*(log_sum + (m - logits)), C)",
    slope="lse(logits, C) - sum(target*logits, C)",
    url=f"{PAGE}/softmax_cross_entropy_with_logits",
)


@impl.loss("soft_cross_entropy", deviates=SUM_OF_ONE)
def soft_cross_entropy(logits: tf.Tensor, target: tf.Tensor, *, reduction: str = "mean") -> tf.Tensor:
    """``softmax_cross_entropy_with_logits``."""
    return _reduced(tf.nn.softmax_cross_entropy_with_logits(tf.cast(target, logits.dtype), logits), reduction)


SIGMOID_FORM = Deviation(
    why="a soft target near 1 loses digits beside its logit; an infinite logit times its target is subtracted",
    formula="max(logits, 0) - logits*target + log1p(exp(-abs(logits)))",
    url=f"{PAGE}/sigmoid_cross_entropy_with_logits",
)
ONE_SIDED = Deviation(
    why="the loss of a confident negative example is lost beside its logit, the slope of both beside 1",
    formula="(1 - target)*logits + (1 + (pos_weight - 1)*target)*(log1p(exp(-abs(logits))) + max(-logits, 0))",
    url=f"{PAGE}/weighted_cross_entropy_with_logits",
)


@impl.loss("bce_with_logits", deviates=ONE_SIDED)
def bce_with_logits(
    logits: tf.Tensor, target: tf.Tensor, *, pos_weight: float = 1.0, reduction: str = "mean"
) -> tf.Tensor:
    """``weighted_cross_entropy_with_logits``."""
    target = tf.cast(target, logits.dtype)
    return _reduced(tf.nn.weighted_cross_entropy_with_logits(target, logits, pos_weight), reduction)
