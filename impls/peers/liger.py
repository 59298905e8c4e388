"""Liger-Kernel: of its losses in torch alone, the distillation loss, with both output layers the identity.

Its cross entropies, divergences and contrastive losses are Triton kernels, for which Triton wants a GPU.
"""

from __future__ import annotations

from importlib import metadata

import torch
from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss
from torch import Tensor

from lossmark import Deviation, Implementation

impl = Implementation("liger", framework="torch", version=metadata.version("liger-kernel"))

WITHOUT_SQUARE = Deviation(
    why="without the factor of the squared temperature; of rounded log-probabilities",
    formula="sum(exp(log_p)*(log_p - log_q), C)",
    accumulate="dtype",
    url="https://github.com/linkedin/Liger-Kernel/blob/main/src/liger_kernel/chunked_loss/jsd_loss.py",
)


@impl.loss("distill_kl", deviates=WITHOUT_SQUARE)
def distill_kl(student: Tensor, teacher: Tensor, *, temperature: float = 1.0) -> Tensor:
    """``LigerFusedLinearJSDLoss`` of its soft part alone at beta = 0, mean over the rows."""
    layer = torch.eye(student.shape[1], dtype=student.dtype, device=student.device)
    label = torch.zeros(len(student), dtype=torch.int64, device=student.device)
    loss = LigerFusedLinearJSDLoss(
        weight_hard_loss=0.0, weight_soft_loss=1.0, beta=0.0, temperature=temperature, compiled=False
    )
    found: Tensor = loss(student, layer, teacher, layer, label)
    return found
