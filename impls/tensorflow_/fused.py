"""The losses in TensorFlow, moving the fewest bytes: ``from lossmark.impls.tensorflow_.fused import bpr``.

Each is a ``tf.custom_gradient`` of two passes that XLA compiles, once per shape: forward reads the inputs once and
keeps a number per example, backward reads them once more and writes the gradients from the analytic derivative.
Arguments, results and errors are those of :mod:`lossmark.impls.tensorflow_.losses`, which stands in where there is
nothing to gain: small inputs, shapes that are not known while tracing, ``similarity="cosine"``, ``contrastive``, and
second derivatives, which are those of the plain formula.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import tensorflow as tf
from lossmark.impls.arguments import check_margin, check_ranking, check_reduction, check_tensors
from tensorflow import Tensor

from lossmark import Implementation, __version__

from . import losses as plain
from .common import as_written, checked_label, reduce, sigmoid, softplus, wide, wide_of
from .framework import FRAMEWORK
from .similarity import norm

impl = Implementation(
    "tensorflow-fused", framework="tensorflow", version=__version__, modes=FRAMEWORK.own["tensorflow-fused"].modes
)

LANES = 16
"""Partial sums of a sum: as many float32 as the widest vector registers of a CPU hold."""
WORTH_COMPILING = 1 << 17
"""Numbers of one input from which on a loss is compiled; below, a custom gradient costs more than it saves."""
Pass = Callable[..., tuple[Tensor, ...]]
"""One pass over the inputs: what it gives is said by :class:`_Fused`."""


def _sum(x: Tensor) -> Tensor:
    """The sum over D of [B, D], in lanes: XLA on a CPU adds along the last axis one number at a time."""
    batch, width = x.shape
    lanes = math.gcd(width, LANES) if batch and width else 1
    if lanes == 1:
        return tf.reduce_sum(x, axis=1)
    return tf.linalg.matvec(
        tf.reduce_sum(tf.reshape(x, (batch, width // lanes, lanes)), axis=1), tf.ones(lanes, x.dtype)
    )


def _few(x: object) -> bool:
    """Whether an input is so small, or of a shape so unknown, that the plain form does it, with its own checks."""
    shape = getattr(x, "shape", None)
    return not isinstance(shape, tf.TensorShape) or (shape.num_elements() or 0) < WORTH_COMPILING


class _Fused:
    """A loss of two passes; ``loss(*inputs, margin=…, reduction=…)``.

    ``forward(*inputs, margin, reduction)`` gives its value, and a number per example for its gradient. Its gradients by
    the first ``count`` inputs are ``backward(*inputs, kept, cotangent [B, 1] or [], margin)``; its second derivatives
    are those of ``formula(*inputs, margin, reduction)``, the plain loss.
    """

    def __init__(self, count: int, forward: Pass, backward: Pass, formula: Callable[..., Tensor]):
        self.count, self.formula, self._backward = count, formula, backward
        self.forward = tf.function(forward, jit_compile=True)
        self.backward = tf.function(self._gradients, jit_compile=True)

    def __call__(self, *inputs: Tensor, margin: float, reduction: str) -> Tensor:
        return _Call(self, margin, reduction, wide_of(inputs[0])).value(*inputs)

    def _gradients(self, *arguments: Tensor, reduction: str) -> list[Tensor]:
        """The gradients of (inputs, kept, cotangent, margin), in the dtype of the inputs."""
        *inputs, kept, g, margin = arguments
        g = tf.cast(g, kept.dtype)
        if reduction == "mean":
            g = g / tf.cast(tf.shape(kept)[0], g.dtype)
        found = self._backward(*wide(*inputs), kept, g[:, None] if reduction == "none" else g, margin)
        return [tf.cast(x, inputs[0].dtype) for x in found]


class _Call:
    """One call of a loss, with its margin and its reduction: what TensorFlow differentiates, once and twice."""

    def __init__(self, loss: _Fused, margin: float, reduction: str, dtype: tf.DType):
        self._loss, self._margin, self._reduction = loss, margin, reduction
        self._at = tf.constant(margin, dtype)

    @tf.custom_gradient
    def value(self, *inputs: Tensor) -> tuple[Tensor, Callable[[Tensor], Sequence[Tensor | None]]]:
        """The loss, and its gradients by the inputs from a cotangent; None by labels."""
        found, kept = self._loss.forward(*inputs, self._at, self._reduction)
        labels = [None] * (len(inputs) - self._loss.count)
        return found, lambda g: [*self._gradients(*inputs, kept, g), *labels]

    @tf.custom_gradient
    def _gradients(self, *arguments: Tensor) -> tuple[Sequence[Tensor], Callable[..., Sequence[Tensor | None]]]:
        """The gradients of (inputs, kept, cotangent), and theirs from their own cotangents."""
        *inputs, _, g = arguments
        slopes = self._loss.backward(*arguments, self._at, reduction=self._reduction)
        formula = functools.partial(self._loss.formula, margin=self._margin, reduction=self._reduction)
        return slopes, lambda *directions: _again(formula, inputs, self._loss.count, g, directions)


def _again(
    formula: Callable[..., Tensor], inputs: Sequence[Tensor], count: int, g: Tensor, directions: Sequence[Tensor]
) -> list[Tensor | None]:
    """The gradient of ⟨gradient of the formula, directions⟩ by the inputs and the cotangent ``g``."""
    free = [*inputs[:count], g]
    with tf.GradientTape() as outer:
        outer.watch(free)
        with tf.GradientTape() as inner:
            inner.watch(free)
            value = formula(*free[:count], *inputs[count:])
        slopes = inner.gradient(value, free[:count], output_gradients=g)
    found = outer.gradient(slopes, free, output_gradients=list(directions))
    return [*found[:count], *[None] * (len(inputs) - count + 1), found[count]]


# -- ranking: hinge and BPR ------------------------------------------------------------------------------------------


def _ranking(
    of: Callable[..., Tensor], slope: Callable[..., Tensor], formula: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    """``of(x, margin)`` of the difference x = ⟨u, d⁻ - d⁺⟩ of two scores [B], with ``slope(x, margin)`` its derivative.

    The difference is an equal evaluation of ⟨u, d⁻⟩ - ⟨u, d⁺⟩ that the specs declare.
    """

    def forward(u: Tensor, d_pos: Tensor, d_neg: Tensor, margin: Tensor, reduction: str) -> tuple[Tensor, Tensor]:
        dtype = u.dtype
        u, d_pos, d_neg = wide(u, d_pos, d_neg)
        x = _sum(u * (d_neg - d_pos))
        return reduce(of(x, margin), reduction, dtype), x

    def backward(u: Tensor, d_pos: Tensor, d_neg: Tensor, x: Tensor, g: Tensor, margin: Tensor) -> tuple[Tensor, ...]:
        weight = slope(x, margin)[:, None] * g
        return weight * (d_neg - d_pos), -weight * u, weight * u

    return _Fused(3, forward, backward, formula)


_hinge = _ranking(
    lambda x, margin: tf.nn.relu(x + margin),
    lambda x, margin: tf.cast(x > -margin, x.dtype),
    plain.pairwise_hinge,
)
_bpr = _ranking(
    lambda x, margin: softplus(x),
    lambda x, margin: sigmoid(x),
    lambda u, d_pos, d_neg, margin, reduction: plain.bpr(u, d_pos, d_neg, reduction=reduction),
)


@impl.loss
@as_written
def pairwise_hinge(
    u: Tensor, d_pos: Tensor, d_neg: Tensor, *, margin: float = 1.0, similarity: str = "dot", reduction: str = "mean"
) -> Tensor:
    """max(0, margin - ⟨u,d⁺⟩ + ⟨u,d⁻⟩); arguments, result and errors as :func:`.losses.pairwise_hinge`."""
    if similarity != "dot" or _few(u):
        return plain.pairwise_hinge(u, d_pos, d_neg, margin=margin, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    check_margin(margin)
    return _hinge(u, d_pos, d_neg, margin=margin, reduction=reduction)


@impl.loss
@as_written
def bpr(u: Tensor, d_pos: Tensor, d_neg: Tensor, *, similarity: str = "dot", reduction: str = "mean") -> Tensor:
    """log(1 + exp(⟨u,d⁻⟩ - ⟨u,d⁺⟩)); arguments, result and errors as :func:`.losses.bpr`."""
    if similarity != "dot" or _few(u):
        return plain.bpr(u, d_pos, d_neg, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    return _bpr(u, d_pos, d_neg, margin=0.0, reduction=reduction)


# -- contrastive -----------------------------------------------------------------------------------------------------


impl.loss("contrastive")(plain.contrastive)


def _distance(x1: Tensor, x2: Tensor) -> Tensor:
    """‖x1 - x2‖₂ [B]; scaled, which takes two passes, only where a square overflows or underflows."""
    squared = _sum(tf.square(x1 - x2))
    least = 2.0**-900 if squared.dtype == tf.float64 else 2.0**-80
    ordinary = tf.reduce_all((squared > least) & tf.math.is_finite(squared))
    return tf.cond(ordinary, lambda: tf.sqrt(squared), lambda: norm(x1 - x2))


def _pair_forward(x1: Tensor, x2: Tensor, y: Tensor, margin: Tensor, reduction: str) -> tuple[Tensor, Tensor]:
    d = _distance(*wide(x1, x2))
    return reduce(plain.contrastive_terms(d, y, margin), reduction, x1.dtype), d


def _pair_backward(x1: Tensor, x2: Tensor, y: Tensor, d: Tensor, g: Tensor, margin: Tensor) -> tuple[Tensor, Tensor]:
    """∂/∂x1 = 2·y·(x1 - x2) - 2·(1-y)·max(margin - d, 0) · (x1 - x2)/d, and 0 where d = 0."""
    scale = tf.where(d < 2.0**-60, tf.constant(2.0**100, d.dtype), 1)  # so that a very small d can be divided by
    push = tf.math.divide_no_nan((1 - y) * tf.nn.relu(margin - d), d * scale)
    difference = x1 - x2
    # the factors of an example first: a component may be so small that its product with one of them is subnormal
    by_x1 = (2 * g * y[:, None]) * difference - (2 * g * push[:, None]) * (difference * scale[:, None])
    return by_x1, -by_x1


_pair = _Fused(2, _pair_forward, _pair_backward, plain.contrastive_pair)


@impl.loss
@as_written
def contrastive_pair(x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """The contrastive loss of d = ‖x1 - x2‖₂; arguments, result and errors as :func:`.losses.contrastive_pair`."""
    if _few(x1):
        return plain.contrastive_pair(x1, x2, y, margin=margin, reduction=reduction)
    batch, _ = check_tensors({"x1": x1, "x2": x2}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    y = checked_label("y", y, (batch,), wide_of(x1), soft=True)
    return _pair(x1, x2, y, margin=margin, reduction=reduction)


# -- labeled triplet ---------------------------------------------------------------------------------------------------


def _triplet_forward(
    anc: Tensor, pos: Tensor, neg: Tensor, label: Tensor, margin: Tensor, reduction: str
) -> tuple[Tensor, Tensor]:
    dtype = anc.dtype
    anc, pos, neg = wide(anc, pos, neg)
    ap, an, pn = (_sum(tf.square(x - y)) for x, y in ((anc, pos), (anc, neg), (pos, neg)))
    same = label == 1
    loss = 2 * tf.where(same, ap, an) - tf.where(same, an, ap) - pn + margin
    return reduce(tf.where(tf.math.is_nan(label), label, loss), reduction, dtype), label


def _triplet_backward(
    anc: Tensor, pos: Tensor, neg: Tensor, label: Tensor, kept: Tensor, g: Tensor, margin: Tensor
) -> tuple[Tensor, ...]:
    same = (label == 1)[:, None]
    from_pos, from_neg = tf.where(same, 4 * g, -2 * g) * (anc - pos), tf.where(same, -2 * g, 4 * g) * (anc - neg)
    apart = -2 * g * (pos - neg)
    return from_pos + from_neg, apart - from_pos, -(from_neg + apart)


_triplet = _Fused(3, _triplet_forward, _triplet_backward, plain.labeled_triplet)


@impl.loss
@as_written
def labeled_triplet(
    anc: Tensor, pos: Tensor, neg: Tensor, label: Tensor, *, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """label 1: 2‖pos-anc‖² - ‖pos-neg‖² - ‖anc-neg‖² + margin; label 0: pos and neg swapped.

    Arguments, result and errors as :func:`.losses.labeled_triplet`.
    """
    if _few(anc):
        return plain.labeled_triplet(anc, pos, neg, label, margin=margin, reduction=reduction)
    batch, _ = check_tensors({"anc": anc, "pos": pos, "neg": neg}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    label = checked_label("label", label, (batch,), wide_of(anc), soft=False)
    return _triplet(anc, pos, neg, label, margin=margin, reduction=reduction)
