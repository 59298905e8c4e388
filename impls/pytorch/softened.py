"""Losses of logits that are softened first, by a temperature or a cap, in PyTorch.

16-bit inputs are computed in float32: 8 bits cannot tell a probability from 1.
"""

from __future__ import annotations

import torch
from lossmark.impls.arguments import check_capped, check_distilled
from torch import Tensor

from .classes import below_largest
from .common import checked_class, reduce, wide


def distill_kl(student: Tensor, teacher: Tensor, *, temperature: float = 1.0, reduction: str = "mean") -> Tensor:
    """T²·Σ_c p_c·(log p_c - log q_c) of the softened probabilities p = softmax(t/T) and q = softmax(s/T).

    ``student``, ``teacher``: logits [B, C] of one dtype (float64, float32, bfloat16, float16); the teacher has no
    gradient; ``temperature``: T > 0. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype. Raises
    TypeError for another dtype or a temperature that is no number; ValueError for another shape, a temperature that is
    not positive and finite, an unknown reduction, and the mean of an empty batch.
    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531. Page: docs/reference/losses/distill_kl.
    """
    check_distilled(student, teacher, temperature, reduction)
    s, t = wide(student, teacher.detach())
    (s, log_s), (t, log_t) = below_largest(s / temperature), below_largest(t / temperature)
    log_p = t - log_t
    p = torch.exp(log_p)
    each = torch.where(t == -torch.inf, 0, p * (log_p + (log_s - s)))  # a class that the teacher excludes costs nothing
    return reduce(temperature * temperature * each.sum(dim=1), reduction, student.dtype)


def cross_entropy_z(
    logits: Tensor,
    target: Tensor,
    *,
    z_weight: float = 1e-4,
    softcap: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """The cross entropy of softmax(x) and the class y, plus z·lse(x)², of x = s·tanh(logits/s) where s > 0.

    ``logits``: [B, C] (float64, float32, bfloat16, float16); ``target``: the number of a class [B], of an integer
    dtype; ``z_weight``: z ≥ 0; ``softcap``: s ≥ 0, of which 0 is none. Rows whose target is ``ignore_index`` cost
    nothing and do not count; a mean divides by the number of those that do, and is NaN where there is none. Returns [B]
    under ``none``, [] under ``sum`` and ``mean``, in the dtype of the logits. Raises TypeError for another dtype or
    what is no number; ValueError for another shape, a negative weight or cap, an unknown reduction, the mean of an
    empty batch, and a target that is no class (on a CPU, not under compilation; else the loss is NaN).
    Source: Chowdhery et al. 2022, arXiv:2204.02311, section 5. Page: docs/reference/losses/cross_entropy_z.
    """
    check_capped(logits, target, z_weight, softcap, ignore_index, reduction)
    dtype = logits.dtype
    (logits,) = wide(logits)
    index, counted, known = checked_class(target, logits.shape[1], ignore_index)
    x = torch.where(counted[:, None], logits, 0)
    if softcap:
        x = softcap * torch.tanh(x / softcap)
    z, lse = below_largest(x)
    whole = x.detach().amax(dim=1) + lse[:, 0]
    loss = (lse - z.gather(1, index[:, None]))[:, 0] + z_weight * whole * whole
    loss = torch.where(counted, torch.where(known, loss, torch.nan), 0)
    return reduce(loss, reduction, dtype, counted.sum())
