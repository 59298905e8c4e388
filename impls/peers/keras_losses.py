"""Keras: its losses of classes, logits and numbers, from logits, on TensorFlow."""

from __future__ import annotations

import keras
import tensorflow as tf

from lossmark import Implementation

impl = Implementation("keras", framework="tensorflow", version=keras.__version__)


def _reduced(loss: tf.Tensor, reduction: str) -> tf.Tensor:
    if reduction == "none":
        return loss
    return tf.reduce_sum(loss) if reduction == "sum" else tf.reduce_mean(loss)


@impl.loss
def cross_entropy(logits: tf.Tensor, target: tf.Tensor, *, reduction: str = "mean") -> tf.Tensor:
    """``sparse_categorical_crossentropy``: without weights, ignored rows and smoothing."""
    return _reduced(keras.losses.sparse_categorical_crossentropy(target, logits, from_logits=True), reduction)


@impl.loss
def soft_cross_entropy(logits: tf.Tensor, target: tf.Tensor, *, reduction: str = "mean") -> tf.Tensor:
    """``categorical_crossentropy``."""
    target = tf.cast(target, logits.dtype)
    return _reduced(keras.losses.categorical_crossentropy(target, logits, from_logits=True), reduction)


@impl.loss
def bce_with_logits(logits: tf.Tensor, target: tf.Tensor, *, reduction: str = "mean") -> tf.Tensor:
    """``binary_crossentropy``, whose mean over the last axis is one of a single number."""
    target = tf.cast(target, logits.dtype)
    loss = keras.losses.binary_crossentropy(target[:, None], logits[:, None], from_logits=True)
    return _reduced(loss, reduction)


@impl.loss
def sigmoid_focal(
    logits: tf.Tensor, target: tf.Tensor, *, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> tf.Tensor:
    """``binary_focal_crossentropy`` with its balance of classes."""
    target = tf.cast(target, logits.dtype)
    loss = keras.losses.binary_focal_crossentropy(
        target[:, None], logits[:, None], True, alpha=alpha, gamma=gamma, from_logits=True
    )
    return _reduced(loss, reduction)


@impl.loss
def huber(x: tf.Tensor, t: tf.Tensor, *, delta: float = 1.0, reduction: str = "mean") -> tf.Tensor:
    """``huber``, whose mean over the last axis is one of a single number."""
    return _reduced(keras.losses.huber(t[:, None], x[:, None], delta), reduction)
