"""The cross entropy of a class with exchangeable parts, over a namespace ``xp`` of one framework's operations."""

from collections.abc import Callable
from dataclasses import dataclass

from lossmark.impls.arguments import check_classes, check_indices, check_reduction, check_tensors

from .common import Maker, reduced


def counts(xp, target, ignore_index):
    """Which rows count."""
    return target != ignore_index


def masked(xp, loss, counted):
    """The losses, 0 where a row does not count."""
    return xp.where(counted, loss, xp.zeros(loss))


def visible(xp, x, counted):
    """The logits, 0 in rows that do not count."""
    return xp.where(counted[:, None], x, xp.zeros(x))


def refused(xp, index, logits):
    """The classes, none of which may be outside of the range, where they can be looked at."""
    numbers = xp.numbers(index)
    if numbers is not None:
        check_indices("target", numbers, logits.shape[1])
    return index


def below_largest(xp, x):
    """The logarithms of softmax(x), relative to the largest."""
    z = x - xp.largest(x)
    return z - xp.log(xp.sum(xp.exp(z)))[:, None]


def literal(xp, x):
    """x - lse(x), which loses small losses under a common offset."""
    most = xp.largest(x)
    return x - (most + xp.log(xp.sum(xp.exp(x - most)))[:, None])


def softmax(xp, x):
    """The probabilities."""
    z = xp.exp(x - xp.largest(x))
    return z / xp.sum(z)[:, None]


def of_the_class(xp, x, index):
    """The entry of the class."""
    return xp.take(x, index)


def mean_of_all(xp, log_p, w, index):
    """The share of label smoothing: -mean(w·log p)."""
    return -xp.sum(w * log_p) / log_p.shape[1]


def mean_of_others(xp, log_p, w, index):
    """The share of label smoothing dealt to the other classes only: -Σ w·log p / (C - 1) without the class."""
    own = xp.at(w, index) * xp.take(log_p, index)
    return -(xp.sum(w * log_p) - own) / max(log_p.shape[1] - 1, 1)


def weights_that_count(xp, w_y, counted):
    """The divisor of the mean: the weights of the classes of the rows that count."""
    return xp.total(masked(xp, w_y, counted))


@dataclass(frozen=True)
class Parts:
    """What is exchangeable: ``shared`` is to the share of label smoothing what ``hard`` is to the loss of the class."""

    counted: Callable = counts
    visible: Callable = visible
    index: Callable = refused
    log_p: Callable = below_largest
    pick: Callable = of_the_class
    hard: Callable = masked
    smooth: Callable = mean_of_all
    shared: Callable = masked
    divisor: Callable = weights_that_count
    reduce: Callable = reduced


class Entropy(Maker):
    """Makes implementations of cross_entropy."""

    def entropy(self, name, wide=None, modes=("eager",), **parts):
        """Bind one; ``wide(x)`` are the logits in the dtype that it computes in: float32 at least."""
        xp, parts = self.xp, Parts(**parts)
        widened = wide or xp.wide

        def cross_entropy(logits, target, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
            checked(logits, target, weight, ignore_index, label_smoothing, reduction)
            x, target = widened(logits), xp.integer(target)
            w = xp.ones(x) if weight is None else xp.cast(weight, x.dtype)
            counted = parts.counted(xp, target, ignore_index)
            index = parts.index(xp, xp.where(counted, target, xp.zeros(target)), logits)
            log_p = parts.log_p(xp, parts.visible(xp, x, counted))
            w_y = xp.at(w, index)
            loss = parts.hard(xp, -w_y * parts.pick(xp, log_p, index), counted)
            if label_smoothing:
                share = parts.shared(xp, parts.smooth(xp, log_p, w, index), counted)
                loss = (1 - label_smoothing) * loss + label_smoothing * share
            if reduction != "mean":
                return xp.cast(parts.reduce(xp, loss, reduction), logits.dtype)
            return xp.cast(parts.reduce(xp, loss, "sum") / parts.divisor(xp, w_y, counted), logits.dtype)

        self.bind(name, "cross_entropy", cross_entropy, modes)


def checked(logits, target, weight, ignore_index, label_smoothing, reduction):
    """Refuse arguments that do not fit."""
    batch, _ = check_tensors({"logits": logits}, rank=2, across="C")
    check_classes(target, weight, logits, ignore_index, label_smoothing)
    check_reduction(reduction, batch)
