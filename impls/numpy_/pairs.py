"""The losses of pairs in the batch in NumPy: every example is a class for every other.

The similarities are made in the accumulator.
"""

from __future__ import annotations

import numpy as np
from lossmark.impls.arguments import IMAGES, check_finite, check_pairs

from .classes import cross_entropy, cross_entropy_gradient
from .common import Array, reduce, sigmoid, softplus, weight, wide
from .similarity import similarities, similarities_gradient


def info_nce(
    query: Array, key: Array, *, temperature: float = 0.07, similarity: str = "cosine", reduction: str = "mean"
) -> Array:
    """-log softmax(s_i)_i of the similarities s_ij = sim(q_i, k_j)/τ of each query with every key of the batch.

    ``query``, ``key``: [B, D] of one dtype (float64, float32, bfloat16, float16), of which row i of one belongs to row
    i of the other; ``temperature``: τ > 0; sim is ``cosine`` = x·y / max(‖x‖‖y‖, 1e-8) or ``dot``. Returns [B] under
    ``none``, [] under ``sum`` and ``mean``, in that dtype. Raises TypeError for another dtype or a temperature that is
    no number; ValueError for another shape, a temperature that is not positive and finite, an unknown similarity or
    reduction, and the mean of an empty batch.
    Source: van den Oord, Li, Vinyals 2018, arXiv:1807.03748, eq. 4. Page: docs/reference/losses/info_nce.
    """
    check_pairs(query, key, temperature, similarity, reduction)
    q, k = wide(query, key)
    s = similarities(q, k, similarity) / q.dtype.type(temperature)
    if not len(s):
        return reduce(np.sum(s, axis=1), reduction, query.dtype)
    return cross_entropy(s, np.arange(len(s)), reduction=reduction).astype(query.dtype)


def info_nce_gradient(
    query: Array, key: Array, *, temperature: float = 0.07, similarity: str = "cosine", reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`info_nce`: (softmax(s) - I)/τ through the similarities."""
    check_pairs(query, key, temperature, similarity, reduction)
    q, k = wide(query, key)
    tau = q.dtype.type(temperature)
    s = similarities(q, k, similarity) / tau
    if not len(s):
        return {"query": np.zeros_like(query), "key": np.zeros_like(key)}
    slope = cross_entropy_gradient(s, np.arange(len(s)), reduction=reduction)["logits"] / tau
    by_query, by_key = similarities_gradient(q, k, slope, similarity)
    return {"query": by_query.astype(query.dtype), "key": by_key.astype(key.dtype)}


def clip(
    image: Array, text: Array, *, scale: float = 14.285714, similarity: str = "cosine", reduction: str = "mean"
) -> Array:
    """Half of each direction of the contrast of images and texts, lse_j(s_ij) - s_ii and lse_j(s_ji) - s_ii.

    ``image``, ``text``: [B, D] of one dtype (float64, float32, bfloat16, float16), of which row i of one belongs to row
    i of the other; ``scale`` > 0 multiplies the similarities s; sim is ``cosine`` = x·y / max(‖x‖‖y‖, 1e-8) or ``dot``.
    Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype. Raises TypeError for another dtype or a
    scale that is no number; ValueError for another shape, a scale that is not positive and finite, an unknown
    similarity or reduction, and the mean of an empty batch.
    Source: Radford et al. 2021, arXiv:2103.00020, figure 3. Page: docs/reference/losses/clip.
    """
    check_pairs(image, text, scale, similarity, reduction, IMAGES)
    x, y = wide(image, text)
    s = x.dtype.type(scale) * similarities(x, y, similarity)
    if not len(s):
        return reduce(np.sum(s, axis=1), reduction, image.dtype)
    own = np.arange(len(s))
    both = cross_entropy(s, own, reduction="none") + cross_entropy(s.T, own, reduction="none")
    return reduce(x.dtype.type(0.5) * both, reduction, image.dtype)


def clip_gradient(
    image: Array, text: Array, *, scale: float = 14.285714, similarity: str = "cosine", reduction: str = "mean"
) -> dict[str, Array]:
    """The gradient of :func:`clip`: half of softmax(s) - I by rows and by columns, through the similarities."""
    check_pairs(image, text, scale, similarity, reduction, IMAGES)
    x, y = wide(image, text)
    by = x.dtype.type(scale)
    s = by * similarities(x, y, similarity)
    if not len(s):
        return {"image": np.zeros_like(image), "text": np.zeros_like(text)}
    own = np.arange(len(s))
    rows, columns = (cross_entropy_gradient(z, own, reduction=reduction)["logits"] for z in (s, s.T))
    by_image, by_text = similarities_gradient(x, y, by * (x.dtype.type(0.5) * (rows + columns.T)), similarity)
    return {"image": by_image.astype(image.dtype), "text": by_text.astype(text.dtype)}


def siglip(
    image: Array,
    text: Array,
    *,
    scale: float = 10.0,
    bias: float = -10.0,
    similarity: str = "cosine",
    reduction: str = "mean",
) -> Array:
    """Σ_j softplus(-z_ij·(scale·s_ij + bias)) of images and texts, where z is 1 for an image and its own text, else -1.

    ``image``, ``text``: [B, D] of one dtype (float64, float32, bfloat16, float16), of which row i of one belongs to row
    i of the other; ``scale`` > 0 multiplies the similarities s, ``bias`` is added to them; sim is ``cosine`` =
    x·y / max(‖x‖‖y‖, 1e-8) or ``dot``. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype. Raises
    TypeError for another dtype or what is no number; ValueError for another shape, a scale that is not positive and
    finite, a bias that is not finite, an unknown similarity or reduction, and the mean of an empty batch.
    Source: Zhai et al. 2023, arXiv:2303.15343, equation 2. Page: docs/reference/losses/siglip.
    """
    check_pairs(image, text, scale, similarity, reduction, IMAGES)
    check_finite("bias", bias)
    x, y = wide(image, text)
    s = x.dtype.type(scale) * similarities(x, y, similarity) + x.dtype.type(bias)
    return reduce(np.sum(softplus(np.where(np.eye(len(s), dtype=bool), -s, s)), axis=1), reduction, image.dtype)


def siglip_gradient(
    image: Array,
    text: Array,
    *,
    scale: float = 10.0,
    bias: float = -10.0,
    similarity: str = "cosine",
    reduction: str = "mean",
) -> dict[str, Array]:
    """The gradient of :func:`siglip`: sigmoid(s_ij), and -sigmoid(-s_ii) of the own pair, through the similarities."""
    check_pairs(image, text, scale, similarity, reduction, IMAGES)
    check_finite("bias", bias)
    x, y = wide(image, text)
    by = x.dtype.type(scale)
    s = by * similarities(x, y, similarity) + x.dtype.type(bias)
    slope = np.where(np.eye(len(s), dtype=bool), -sigmoid(-s), sigmoid(s))
    g = by * weight(len(s), reduction, x.dtype) if len(s) else by
    by_image, by_text = similarities_gradient(x, y, g * slope, similarity)
    return {"image": by_image.astype(image.dtype), "text": by_text.astype(text.dtype)}
