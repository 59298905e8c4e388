"""The contrast of embeddings with others of their kind in PyTorch: NT-Xent of two views, SupCon of classes.

The similarities are made in the accumulator. An embedding's similarity with itself counts for nothing.
"""

from __future__ import annotations

import torch
from lossmark.impls.arguments import VIEWS, check_pairs, check_supervised
from torch import Tensor

from .classes import below_largest, cross_entropy
from .common import reduce, wide
from .similarity import similarities


def nt_xent(
    z1: Tensor, z2: Tensor, *, temperature: float = 0.5, similarity: str = "cosine", reduction: str = "mean"
) -> Tensor:
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
    s = similarities(x, y, similarity) / temperature
    if not len(s):
        return reduce(s.sum(dim=1), reduction, z1.dtype)
    own = torch.arange(len(s), device=s.device)
    first, second = (_without_itself(similarities(z, z, similarity) / temperature) for z in (x, y))
    both = cross_entropy(torch.cat([s, first], dim=1), own, reduction="none")
    both = both + cross_entropy(torch.cat([s.T, second], dim=1), own, reduction="none")
    return reduce(0.5 * both, reduction, z1.dtype)


def _without_itself(s: Tensor) -> Tensor:
    return s.masked_fill(_itself(s), -torch.inf)


def _itself(s: Tensor) -> Tensor:
    """Where an example meets itself [B, B]."""
    return torch.eye(len(s), dtype=torch.bool, device=s.device)


def supcon(
    z: Tensor, label: Tensor, *, temperature: float = 0.1, similarity: str = "dot", reduction: str = "mean"
) -> Tensor:
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
    s = similarities(x, x, similarity) / temperature
    if not len(s):
        return reduce(s.sum(dim=1), reduction, z.dtype)
    label = label if label.is_floating_point() else label.long()
    itself = _itself(s)
    positive = (label[:, None] == label) & ~itself
    paired = positive.any(dim=1)
    relative, lse = below_largest(torch.where(itself & paired[:, None], -torch.inf, torch.where(paired[:, None], s, 0)))
    far = torch.where(positive, lse - relative, 0).sum(dim=1) / positive.sum(dim=1).clamp_min(1)
    return reduce(torch.where(paired, far, 0), reduction, z.dtype)
