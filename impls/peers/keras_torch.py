"""Keras on torch, whose cross entropies of logits it calls."""

from __future__ import annotations

import torch
from lossmark.impls.peers.keras_losses import CLIPPED_FOCAL, Reducers, implementation
from lossmark.impls.peers.torch_nn import ONE_SIDED, ROUNDED_SUM, SOFT_ROUNDED_SUM

impl = implementation(
    "keras-torch",
    "torch",
    "torch",
    Reducers(torch.sum, torch.mean),
    {
        "cross_entropy": ROUNDED_SUM,
        "soft_cross_entropy": SOFT_ROUNDED_SUM,
        "bce_with_logits": ONE_SIDED,
        "sigmoid_focal": CLIPPED_FOCAL,
    },
)
