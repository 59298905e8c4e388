"""torch.nn.functional: its losses of classes, logits and regression, and ranking losses over the scores of rows."""

from __future__ import annotations

import torch
from lossmark.impls.peers.evaluated import LINEAR, SOFT
from torch import Tensor
from torch.nn import functional

from lossmark import Deviation, Implementation

impl = Implementation("torch-nn", framework="torch", version=torch.__version__)


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction]


# -- ranking ---------------------------------------------------------------------------------------------------------


@impl.loss
def pairwise_hinge(u: Tensor, d_pos: Tensor, d_neg: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """clamp_min(-(s⁺ - s⁻) + margin, 0); gradient 1 at the kink."""
    s_pos, s_neg = (u * d_pos).sum(-1), (u * d_neg).sum(-1)
    target = torch.ones_like(s_pos)
    return functional.margin_ranking_loss(s_pos, s_neg, target, margin=margin, reduction=reduction)


PER_NORM = Deviation(
    why="cosine_similarity guards each norm, not their product",
    guard={"per norm": 1e-8},
    url="https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cosine_similarity.html",
)


@impl.loss("bpr", deviates=PER_NORM)
def bpr(u: Tensor, d_pos: Tensor, d_neg: Tensor, *, similarity: str = "dot", reduction: str = "mean") -> Tensor:
    """-log σ(s⁺ - s⁻)."""
    scores = functional.cosine_similarity if similarity == "cosine" else lambda x, y: (x * y).sum(-1)
    return _reduced(-functional.logsigmoid(scores(u, d_pos) - scores(u, d_neg)), reduction)


# -- classes ---------------------------------------------------------------------------------------------------------


IN_THE_DTYPE = "in 16 bits the logarithm of the sum is rounded to the dtype of the logits before it is subtracted"
ROUNDED_SUM = Deviation(
    why=IN_THE_DTYPE,
    formula=(
        "where(label_smoothing == 0, hard, (1 - label_smoothing)*hard + label_smoothing*smooth)",
        "where(label_smoothing == 0, weight_y*(lse(logits, C) - pick(logits, target, C)), "
        "(1 - label_smoothing)*(weight_y*(lse(logits, C) - pick(logits, target, C))) "
        "+ label_smoothing*mean(weight*(lse(logits, C) - logits), C))",
    ),
    accumulate="dtype",
)


@impl.loss("cross_entropy", deviates=ROUNDED_SUM)
def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """``cross_entropy`` of class indices; everything in the dtype of the logits."""
    return functional.cross_entropy(
        logits, target, weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction
    )


SOFT_ROUNDED_SUM = Deviation(
    why=IN_THE_DTYPE,
    formula=SOFT,
    accumulate="dtype",
)


@impl.loss("soft_cross_entropy", deviates=SOFT_ROUNDED_SUM)
def soft_cross_entropy(logits: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """``cross_entropy`` of probabilities."""
    return functional.cross_entropy(logits, target.to(logits.dtype), reduction=reduction)


LINEAR_ROUNDED_SUM = Deviation(
    why=IN_THE_DTYPE,
    formula=LINEAR,
    accumulate="dtype",
)


@impl.loss("linear_cross_entropy", deviates=LINEAR_ROUNDED_SUM)
def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, target: Tensor, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """``linear_cross_entropy`` with its default options."""
    return functional.linear_cross_entropy(hidden, weight, target, ignore_index=ignore_index, reduction=reduction)


@impl.loss
def kl_div(log_q: Tensor, p: Tensor, *, reduction: str = "mean") -> Tensor:
    """``kl_div`` without its own mean, which divides by the number of classes too."""
    return _reduced(functional.kl_div(log_q, p.to(log_q.dtype), reduction="none").sum(1), reduction)


@impl.loss
def multi_margin(logits: Tensor, target: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """``multi_margin_loss``."""
    return functional.multi_margin_loss(logits, target, margin=margin, reduction=reduction)


# -- logits and numbers ----------------------------------------------------------------------------------------------


ONE_SIDED = Deviation(
    why="the loss of a confident negative example is lost beside its logit, the slope of a positive one beside 1",
    formula="(1 - target)*logits + (1 + (pos_weight - 1)*target)*softplus(-logits)",
    slope="(pos_weight*target + 1 - target)*softplus(logits) - pos_weight*target*logits",
    url="https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html",
)


@impl.loss("bce_with_logits", deviates=ONE_SIDED)
def bce_with_logits(logits: Tensor, target: Tensor, *, pos_weight: float = 1.0, reduction: str = "mean") -> Tensor:
    """``binary_cross_entropy_with_logits``, called without a weight where that is 1."""
    weight = None if pos_weight == 1 else torch.full_like(logits[:1], pos_weight)
    return functional.binary_cross_entropy_with_logits(
        logits, target.to(logits.dtype), pos_weight=weight, reduction=reduction
    )


@impl.loss
def huber(x: Tensor, t: Tensor, *, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """``huber_loss``."""
    return functional.huber_loss(x, t, delta=delta, reduction=reduction)
