"""The losses of pairs in the batch in NumPy: every example is a class for every other.

The similarities are made in the accumulator.
"""

from __future__ import annotations

import numpy as np
from lossmark.impls.arguments import check_pairs

from .classes import cross_entropy, cross_entropy_gradient
from .common import Array, reduce, wide
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
    q, k = wide(query, key)
    tau = q.dtype.type(temperature)
    s = similarities(q, k, similarity) / tau
    if not len(s):
        return {"query": np.zeros_like(query), "key": np.zeros_like(key)}
    slope = cross_entropy_gradient(s, np.arange(len(s)), reduction=reduction)["logits"] / tau
    by_query, by_key = similarities_gradient(q, k, slope, similarity)
    return {"query": by_query.astype(query.dtype), "key": by_key.astype(key.dtype)}
