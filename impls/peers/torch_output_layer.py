"""torch's ``linear_cross_entropy`` in chunks of rows, by each of its policies of accumulation.

The whole of the logits at once, which is its default, is in ``torch_nn``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import LinearCrossEntropyOptions
from torch.nn.functional import linear_cross_entropy

from lossmark import Deviation, Implementation

PAGE = "https://docs.pytorch.org/docs/stable/generated/torch.nn.LinearCrossEntropyOptions.html"
APART = "lse(logits, C) - dot(hidden, pick(weight, target, C))"
IN_FLOAT32 = Deviation(
    why="what a row adds to the weights of its class and what it takes from them are added up apart",
    formula=("lse(logits - pick(logits, target, C), C)", APART),
    url=PAGE,
)
IN_THE_DTYPE = Deviation(
    why="added up apart, and in 16 bits in the dtype of the hidden states, where no other is asked for",
    formula=("lse(logits - pick(logits, target, C), C)", APART),
    accumulate="dtype",
    url=PAGE,
)
ROWS = 64
"""Rows of a chunk: the cases have more, so that chunks are added up."""


def _chunked(policy: str) -> Callable[..., Tensor]:
    options = LinearCrossEntropyOptions(
        allow_retain_graph=True, batch_chunk_size=ROWS, chunking_method=None, acc_policy=policy
    )

    def loss(
        hidden: Tensor, weight: Tensor, target: Tensor, *, ignore_index: int = -100, reduction: str = "mean"
    ) -> Tensor:
        return linear_cross_entropy(
            hidden, weight, target, ignore_index=ignore_index, reduction=reduction, options=options
        )

    return loss


auto = Implementation("torch-output-layer-auto", framework="torch", version=torch.__version__)
accurate = Implementation("torch-output-layer-accurate", framework="torch", version=torch.__version__)
balanced = Implementation("torch-output-layer-balanced", framework="torch", version=torch.__version__)
compact = Implementation("torch-output-layer-compact", framework="torch", version=torch.__version__)

auto.loss("linear_cross_entropy", deviates=IN_FLOAT32)(_chunked("auto"))
accurate.loss("linear_cross_entropy", deviates=IN_THE_DTYPE)(_chunked("accurate"))
balanced.loss("linear_cross_entropy", deviates=IN_THE_DTYPE)(_chunked("balanced"))
compact.loss("linear_cross_entropy", deviates=IN_THE_DTYPE)(_chunked("compact"))
