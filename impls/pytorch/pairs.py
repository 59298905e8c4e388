"""The losses of pairs in the batch in PyTorch: every example is a class for every other.

The similarities are made in the accumulator.
"""

from __future__ import annotations

import torch
from lossmark.impls.arguments import IMAGES, check_finite, check_pairs
from torch import Tensor

from .classes import cross_entropy
from .common import reduce, softplus, wide
from .similarity import similarities


def info_nce(
    query: Tensor, key: Tensor, *, temperature: float = 0.07, similarity: str = "cosine", reduction: str = "mean"
) -> Tensor:
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
    s = similarities(q, k, similarity) / temperature
    if not len(s):
        return reduce(s.sum(dim=1), reduction, query.dtype)
    return cross_entropy(s, torch.arange(len(s), device=s.device), reduction=reduction).to(query.dtype)


def clip(
    image: Tensor, text: Tensor, *, scale: float = 14.285714, similarity: str = "cosine", reduction: str = "mean"
) -> Tensor:
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
    s = scale * similarities(x, y, similarity)
    if not len(s):
        return reduce(s.sum(dim=1), reduction, image.dtype)
    own = torch.arange(len(s), device=s.device)
    both = cross_entropy(s, own, reduction="none") + cross_entropy(s.T, own, reduction="none")
    return reduce(0.5 * both, reduction, image.dtype)


def siglip(
    image: Tensor,
    text: Tensor,
    *,
    scale: float = 10.0,
    bias: float = -10.0,
    similarity: str = "cosine",
    reduction: str = "mean",
) -> Tensor:
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
    s = scale * similarities(x, y, similarity) + bias
    own = torch.eye(len(s), dtype=torch.bool, device=s.device)
    return reduce(softplus(torch.where(own, -s, s)).sum(dim=1), reduction, image.dtype)
