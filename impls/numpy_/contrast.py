"""The contrast of embeddings with others of their kind in NumPy: NT-Xent of two views, SupCon of classes.

The similarities are made in the accumulator. An embedding's similarity with itself counts for nothing.
"""

from __future__ import annotations

import numpy as np
from lossmark.impls.arguments import VIEWS, check_pairs, check_supervised

from .classes import below_largest, cross_entropy, cross_entropy_gradient
from .common import Array, reduce, weight, wide
from .similarity import similarities, similarities_gradient


def nt_xent(
    z1: Array, z2: Array, *, temperature: float = 0.5, similarity: str = "cosine", reduction: str = "mean"
) -> Array:
    """NT-Xent: each view is held against the 2B - 1 others of the batch, and its class is the other of its example.

    Of both views of an example the mean of log Σ_k exp(s_k) - s_p over the similarities s = sim/τ with all other views,
    p being its own other view. ``z1``, ``z2``: [B, D] of one dtype (float64, float32, bfloat16, float16), of which row
    i of one belongs to row i of the other; ``temperature``: τ > 0; sim is ``cosine`` = x·y / max(‖x‖‖y‖, 1e-8) or
    ``dot``. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype. Raises TypeError for another
    dtype or a temperature that is no number; ValueError for another shape, a temperature that is not positive and
    finite, an unknown similarity or reduction, and the mean of an empty batch.
    Source: Chen et al. 2020, arXiv:2002.05709, equation 1. Page: docs/reference/losses/nt_xent.
    """
    check_pairs(z1, z2, temperature, similarity, reduction, VIEWS)
    x, y = wide(z1, z2)
    first, second = _views(x, y, temperature, similarity)
    if not len(x):
        return reduce(np.sum(first, axis=1), reduction, z1.dtype)
    own = np.arange(len(x))
    both = cross_entropy(first, own, reduction="none") + cross_entropy(second, own, reduction="none")
    return reduce(x.dtype.type(0.5) * both, reduction, z1.dtype)


def nt_xent_gradient(
    z1: Array, z2: Array, *, temperature: float = 0.5, similarity: str = "cosine", reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`nt_xent`: half of softmax(s) - I of either view, through the similarities."""
    check_pairs(z1, z2, temperature, similarity, reduction, VIEWS)
    x, y = wide(z1, z2)
    first, second = _views(x, y, temperature, similarity)
    if not len(x):
        return {"z1": np.zeros_like(z1), "z2": np.zeros_like(z2)}
    batch, half = len(x), x.dtype.type(0.5) / x.dtype.type(temperature)
    by_first, by_second = (
        half * cross_entropy_gradient(s, np.arange(batch), reduction=reduction)["logits"] for s in (first, second)
    )
    by_x, by_y = similarities_gradient(x, y, by_first[:, :batch] + by_second[:, :batch].T, similarity)
    by_x = by_x + sum(similarities_gradient(x, x, by_first[:, batch:], similarity))
    by_y = by_y + sum(similarities_gradient(y, y, by_second[:, batch:], similarity))
    return {"z1": by_x.astype(z1.dtype), "z2": by_y.astype(z2.dtype)}


def _views(x: Array, y: Array, temperature: float, similarity: str) -> tuple[Array, Array]:
    """The similarities [B, 2B] of each first view with all second and first ones, and of each second one likewise."""
    tau = x.dtype.type(temperature)
    s = similarities(x, y, similarity) / tau
    first, second = (_without_itself(similarities(z, z, similarity) / tau) for z in (x, y))
    return np.concatenate([s, first], axis=1), np.concatenate([s.T, second], axis=1)


def _without_itself(s: Array) -> Array:
    return np.where(np.eye(len(s), dtype=bool), s.dtype.type(-np.inf), s)


def supcon(
    z: Array, label: Array, *, temperature: float = 0.1, similarity: str = "dot", reduction: str = "mean"
) -> Array:
    """SupCon: mean over the positives p of log Σ_{j≠i} exp(s_ij) - s_ip, of the similarities s_ij = sim(z_i, z_j)/τ.

    The positives of an example are all others of its class; one without any costs nothing. ``z``: [B, D] (float64,
    float32, bfloat16, float16); ``label``: whole numbers [B] of any dtype, of which only matters which are equal;
    ``temperature``: τ > 0; sim is ``dot`` or ``cosine`` = x·y / max(‖x‖‖y‖, 1e-8). Returns [B] under ``none``, [] under
    ``sum`` and ``mean``, in the dtype of ``z``. Raises TypeError for another dtype or a temperature that is no number;
    ValueError for another shape, a temperature that is not positive and finite, an unknown similarity or reduction,
    and the mean of an empty batch.
    Source: Khosla et al. 2020, arXiv:2004.11362, equation 2. Page: docs/reference/losses/supcon.
    """
    check_supervised(z, label, temperature, similarity, reduction)
    (x,) = wide(z)
    if not len(x):
        return reduce(np.sum(x, axis=1), reduction, z.dtype)
    positive, shares = _positives(label, x)
    relative, lse = below_largest(_counted(x, positive, temperature, similarity))
    far = np.sum(np.where(positive, lse - relative, 0), axis=1) / shares
    return reduce(np.where(positive.any(axis=1), far, 0), reduction, z.dtype)


def supcon_gradient(
    z: Array, label: Array, *, temperature: float = 0.1, similarity: str = "dot", reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`supcon`: softmax(s) - 1/n at each of n positives, through the similarities."""
    check_supervised(z, label, temperature, similarity, reduction)
    (x,) = wide(z)
    if not len(x):
        return {"z": np.zeros_like(z)}
    positive, shares = _positives(label, x)
    relative, lse = below_largest(_counted(x, positive, temperature, similarity))
    slope = np.where(positive.any(axis=1)[:, None], np.exp(relative - lse) - positive / shares[:, None], 0)
    g = weight(len(x), reduction, x.dtype) / x.dtype.type(temperature)
    return {"z": sum(similarities_gradient(x, x, g * slope, similarity)).astype(z.dtype)}


def _positives(label: Array, x: Array) -> tuple[Array, Array]:
    """Which examples [B, B] are of the class of each, and how many these are, at least 1."""
    positive = (label[:, None] == label) & ~np.eye(len(label), dtype=bool)
    return positive, np.maximum(np.sum(positive, axis=1), 1).astype(x.dtype)


def _counted(x: Array, positive: Array, temperature: float, similarity: str) -> Array:
    """The similarities [B, B] with every other example; zeros for what has no positive."""
    s = _without_itself(similarities(x, x, similarity) / x.dtype.type(temperature))
    return np.where(positive.any(axis=1)[:, None], s, 0)
