"""Keras on TensorFlow, whose cross entropies of logits it calls."""

from __future__ import annotations

import tensorflow as tf
from lossmark.impls.peers.evaluated import FOCUS, SHARE
from lossmark.impls.peers.keras_losses import PAGE, Reducers, implementation
from lossmark.impls.peers.tensorflow_nn import ROUNDED_SUM, SIGMOID_FORM, SUM_OF_ONE

from lossmark import Deviation

FOCAL = Deviation(
    why="1 - p_t is taken by subtraction, and the cross entropy is TensorFlow's",
    formula=f"{SHARE}*((max(logits, 0) - logits*target + log1p(exp(-abs(logits))))*{FOCUS})",
    url=f"{PAGE}/probabilistic_losses/#binaryfocalcrossentropy-class",
)

impl = implementation(
    "keras",
    "tensorflow",
    "tensorflow",
    Reducers(tf.reduce_sum, tf.reduce_mean),
    {
        "cross_entropy": ROUNDED_SUM,
        "soft_cross_entropy": SUM_OF_ONE,
        "bce_with_logits": SIGMOID_FORM,
        "sigmoid_focal": FOCAL,
    },
)
