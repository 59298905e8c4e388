"""Keras: its losses of classes, logits and numbers, from logits, on whichever back end it was imported with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from lossmark import Deviation, Implementation

PAGE = "https://keras.io/api/losses"
BACKEND = "KERAS_BACKEND"
Tensor = Any
Reducer = Callable[[Tensor], Tensor]

CLIPPED = "min(max(sigmoid(logits), 1e-7), 1 - 1e-7)"
CLIPPED_FOCAL = Deviation(
    why="probabilities are clipped to [1e-7, 1 - 1e-7], from logits too, and 1 - p_t is taken by subtraction",
    formula=f"where(target == 1, -(alpha*(power(1 - sigmoid(logits), gamma)*log({CLIPPED}))), "
    f"-((1 - alpha)*(power(1 - (1 - sigmoid(logits)), gamma)*log(1 - {CLIPPED}))))",
    url=f"{PAGE}/probabilistic_losses/#binaryfocalcrossentropy-class",
)
"""What Keras computes where its back end does not remember of what logits a probability is."""


def _keras_on(backend: str) -> ModuleType:
    """Keras on a back end, which it asks the environment for when it is first imported, and for good."""
    before = os.environ.get(BACKEND)
    os.environ[BACKEND] = backend
    try:
        return import_module("keras")
    finally:
        if before is None:
            del os.environ[BACKEND]
        else:
            os.environ[BACKEND] = before


@dataclass(frozen=True)
class Reducers:
    """The framework's own sum and mean over a batch, which are no part of what Keras is held to."""

    total: Reducer
    mean: Reducer

    def __call__(self, loss: Tensor, reduction: str) -> Tensor:
        """The losses [B] as they are, their sum or their mean."""
        return loss if reduction == "none" else self.total(loss) if reduction == "sum" else self.mean(loss)


def implementation(
    name: str, framework: str, backend: str, reduced: Reducers, deviations: Mapping[str, Deviation]
) -> Implementation:
    """Keras' losses on a back end, as an implementation ``name`` of the framework that this is."""
    keras = _keras_on(backend)
    impl = Implementation(name, framework=framework, version=keras.__version__)
    for loss, function in _losses(keras, reduced).items():
        impl.loss(loss, deviates=deviations.get(loss))(function)
    return impl


def _losses(keras: ModuleType, reduced: Reducers) -> Mapping[str, Callable[..., Tensor]]:
    """By loss: what calls Keras' own."""

    def like(x: Tensor, logits: Tensor) -> Tensor:
        return keras.ops.cast(x, logits.dtype)

    def cross_entropy(logits: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
        """``sparse_categorical_crossentropy``: without weights, ignored rows and smoothing."""
        return reduced(keras.losses.sparse_categorical_crossentropy(target, logits, from_logits=True), reduction)

    def soft_cross_entropy(logits: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
        """``categorical_crossentropy``."""
        target = like(target, logits)
        return reduced(keras.losses.categorical_crossentropy(target, logits, from_logits=True), reduction)

    def bce_with_logits(logits: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
        """``binary_crossentropy``, whose mean over the last axis is one of a single number."""
        target = like(target, logits)
        loss = keras.losses.binary_crossentropy(target[:, None], logits[:, None], from_logits=True)
        return reduced(loss, reduction)

    def sigmoid_focal(
        logits: Tensor, target: Tensor, *, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean"
    ) -> Tensor:
        """``binary_focal_crossentropy`` with its balance of classes."""
        target = like(target, logits)
        loss = keras.losses.binary_focal_crossentropy(
            target[:, None], logits[:, None], True, alpha=alpha, gamma=gamma, from_logits=True
        )
        return reduced(loss, reduction)

    def huber(x: Tensor, t: Tensor, *, delta: float = 1.0, reduction: str = "mean") -> Tensor:
        """``huber``, whose mean over the last axis is one of a single number."""
        return reduced(keras.losses.huber(t[:, None], x[:, None], delta), reduction)

    found = (cross_entropy, soft_cross_entropy, bce_with_logits, sigmoid_focal, huber)
    return {function.__name__: function for function in found}
