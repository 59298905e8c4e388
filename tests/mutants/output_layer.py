"""The cross entropy of an output layer with exchangeable parts, over a namespace ``xp`` of one framework's operations.

The operations are those of :mod:`.cross_entropy` and ``matmul(h, w)``, the logits [B, C] of hidden states and rows.
"""

import types
from collections.abc import Callable
from dataclasses import dataclass

from lossmark.impls.arguments import check_output_layer, check_reduction

from .common import Maker, reduced
from .cross_entropy import below_largest, counts, masked, refused, visible


def product(xp, h, w):
    """The logits."""
    return xp.matmul(h, w)


def cost(xp, x, index):
    """lse(x) - x_y of every row, relative to the largest logit."""
    return -xp.take(below_largest(xp, x), index)


def by_logits(xp, h, w, index, counted, parts):
    """The losses of the rows by their logits, none of which are kept apart."""
    return parts.cost(xp, parts.product(xp, parts.visible(xp, h, counted), w), index)


def rows_that_count(xp, counted, like):
    """The divisor of the mean."""
    return xp.total(xp.cast(counted, like.dtype))


def all_rows(xp, counted, like):
    """A divisor that counts what is ignored, too."""
    return len(counted)


def classes_of(weight):
    """What has as many columns as the layer has rows, which is what a number of a class is held against."""
    return types.SimpleNamespace(shape=(1, weight.shape[0]))


@dataclass(frozen=True)
class Stages:
    """What is exchangeable: ``fused`` makes the losses of all rows, by default from ``product`` and ``cost``."""

    counted: Callable = counts
    visible: Callable = visible
    index: Callable = refused
    product: Callable = product
    cost: Callable = cost
    fused: Callable = by_logits
    divisor: Callable = rows_that_count
    reduce: Callable = reduced


class OutputLayer(Maker):
    """Makes implementations of linear_cross_entropy."""

    def layer(self, name, wide=None, modes=("eager",), **parts):
        """Bind one; ``wide(x)`` is the dtype that it computes in: float32 at least."""
        xp, parts = self.xp, Stages(**parts)
        widened = wide or xp.wide

        def linear_cross_entropy(hidden, weight, target, *, ignore_index=-100, reduction="mean"):
            checked_layer(hidden, weight, target, ignore_index, reduction)
            h, w, target = widened(hidden), widened(weight), xp.integer(target)
            counted = parts.counted(xp, target, ignore_index)
            index = parts.index(xp, xp.where(counted, target, xp.zeros(target)), classes_of(weight))
            loss = masked(xp, parts.fused(xp, h, w, index, counted, parts), counted)
            if reduction != "mean":
                return xp.cast(parts.reduce(xp, loss, reduction), hidden.dtype)
            return xp.cast(parts.reduce(xp, loss, "sum") / parts.divisor(xp, counted, loss), hidden.dtype)

        self.bind(name, "linear_cross_entropy", linear_cross_entropy, modes)


def checked_layer(hidden, weight, target, ignore_index, reduction):
    """Refuse arguments that do not fit."""
    check_output_layer(hidden, weight, target, ignore_index)
    check_reduction(reduction, hidden.shape[0])
