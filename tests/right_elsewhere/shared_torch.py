"""Parts of the implementations in PyTorch: accumulation in float32 at least, reduction, registration."""

from collections.abc import Callable

import torch
from lossmark.tests.right_elsewhere.refusals import COSINE_GUARD, chosen, refuse_misfits
from torch import Tensor

from lossmark import Implementation

Pair = Callable[[Tensor, Tensor], Tensor]
REDUCE = {"none": lambda loss: loss, "sum": torch.sum, "mean": torch.mean}


def wide(x: Tensor) -> Tensor:
    """At least float32, in which 16-bit sums accumulate."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def over_norms(x: Tensor, y: Tensor, s: Tensor) -> Tensor:
    """The cosine of rows [B, D] whose dot products [B] are known; a norm of 0 has the gradient 0."""
    norms = torch.linalg.vector_norm(x, dim=-1) * torch.linalg.vector_norm(y, dim=-1)
    return s / norms.clamp(min=COSINE_GUARD)


def positive_first(z: Tensor) -> Tensor:
    """max(0, z) by where; NaN goes through."""
    return torch.where(z <= 0, torch.zeros_like(z), z)


def ranking(
    name: str,
    dot: Pair,
    hinge: Callable[[Tensor, Tensor, float], Tensor] | None,
    bpr: Pair | None,
    *,
    cosine: Callable[[Tensor, Tensor, Tensor], Tensor] = over_norms,
    modes: tuple[str, ...] = ("eager",),
) -> Implementation:
    """Both losses of scores: ``dot`` of rows [B, D], ``cosine`` of it, ``hinge(s+, s-, margin)``, ``bpr(s+, s-)``."""
    impl = Implementation(f"elsewhere/torch-{name}", framework="torch", modes=modes)

    def scores(u: Tensor, d_pos: Tensor, d_neg: Tensor, similarity: str) -> tuple[Tensor, Tensor]:
        refuse_misfits(u, d_pos, d_neg)
        u, d_pos, d_neg = wide(u), wide(d_pos), wide(d_neg)
        s_pos, s_neg = dot(u, d_pos), dot(u, d_neg)
        return (cosine(u, d_pos, s_pos), cosine(u, d_neg, s_neg)) if chosen(similarity) else (s_pos, s_neg)

    def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, similarity="dot", reduction="mean"):
        loss = hinge(*scores(u, d_pos, d_neg, similarity), margin)
        return REDUCE[reduction](loss).to(u.dtype)

    def bayesian(u, d_pos, d_neg, *, similarity="dot", reduction="mean"):
        loss = bpr(*scores(u, d_pos, d_neg, similarity))
        return REDUCE[reduction](loss).to(u.dtype)

    if hinge is not None:
        impl.loss("pairwise_hinge")(pairwise_hinge)
    if bpr is not None:
        impl.loss("bpr")(bayesian)
    return impl


def metric(
    name: str,
    distance: Pair | None = None,
    terms: Callable[[Tensor, Tensor, float], Tensor] | None = None,
    triplet: Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor] | None = None,
    *,
    modes: tuple[str, ...] = ("eager",),
) -> Implementation:
    """The losses of distances: ``distance`` of rows, ``terms(d, y, margin)``, ``triplet(a, p, n, label, margin)``."""
    impl = Implementation(f"elsewhere/torch-{name}", framework="torch", modes=modes)

    def contrastive(d, y, *, margin=1.0, reduction="mean"):
        refuse_misfits(d, label=y)
        return REDUCE[reduction](terms(wide(d), y.to(wide(d).dtype), margin)).to(d.dtype)

    def contrastive_pair(x1, x2, y, *, margin=1.0, reduction="mean"):
        refuse_misfits(x1, x2, label=y)
        d = distance(wide(x1), wide(x2))
        return REDUCE[reduction](terms(d, y.to(d.dtype), margin)).to(x1.dtype)

    def labeled_triplet(anc, pos, neg, label, *, margin=1.0, reduction="mean"):
        refuse_misfits(anc, pos, neg, label=label)
        a, p, n = wide(anc), wide(pos), wide(neg)
        return REDUCE[reduction](triplet(a, p, n, label.to(a.dtype), margin)).to(anc.dtype)

    if terms is not None:
        impl.loss("contrastive")(contrastive)
    if terms is not None and distance is not None:
        impl.loss("contrastive_pair")(contrastive_pair)
    if triplet is not None:
        impl.loss("labeled_triplet")(labeled_triplet)
    return impl
