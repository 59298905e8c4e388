"""As training scripts have them: every helper widens what it is given, so that gradients meet in the inputs' dtype."""

import torch
from lossmark.tests.right_elsewhere.refusals import COSINE_GUARD, refuse_misfits
from torch.nn import functional

from lossmark import Implementation

scripts = Implementation("elsewhere/torch-widening-helpers", framework="torch", modes=("eager", "compile"))

twice = Implementation("elsewhere/torch-scores-twice", framework="torch")


def as_float(x):
    """float64 stays."""
    return x if x.dtype == torch.float64 else x.float()


def similar(x, y, kind):
    """Row by row."""
    s = torch.sum(as_float(x) * as_float(y), dim=-1)
    if kind == "dot":
        return s
    if kind == "cosine":
        lengths = as_float(x).norm(dim=-1) * as_float(y).norm(dim=-1)
        return s / torch.clamp(lengths, min=COSINE_GUARD)
    raise ValueError(f"unknown similarity {kind}")


def square_distance(x, y):
    """Row by row."""
    return torch.sum((as_float(x) - as_float(y)) ** 2, dim=1)


def finish(loss, reduction, like):
    """none, sum or mean."""
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    elif reduction != "none":
        raise ValueError(reduction)
    return loss.to(like.dtype)


@scripts.loss
def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, similarity="dot", reduction="mean"):
    """The loss of two scores."""
    refuse_misfits(u, d_pos, d_neg)
    return finish(functional.relu(margin - similar(u, d_pos, similarity) + similar(u, d_neg, similarity)), reduction, u)


@scripts.loss
def bpr(u, d_pos, d_neg, *, similarity="dot", reduction="mean"):
    """-log sigmoid of the gap."""
    refuse_misfits(u, d_pos, d_neg)
    gap = similar(u, d_pos, similarity) - similar(u, d_neg, similarity)
    return finish(functional.logsigmoid(gap).neg(), reduction, u)


@scripts.loss
def contrastive_pair(x1, x2, y, *, margin=1.0, reduction="mean"):
    """torch.norm, and a mask of the label."""
    refuse_misfits(x1, x2, label=y)
    d = torch.norm(as_float(x1) - as_float(x2), p=2, dim=-1)
    positive, negative = d.pow(2), torch.clamp(margin - d, min=0.0).pow(2)
    return finish(y.to(d.dtype) * positive + (1 - y.to(d.dtype)) * negative, reduction, x1)


@scripts.loss
def labeled_triplet(anc, pos, neg, label, *, margin=1.0, reduction="mean"):
    """Three squared distances, each of the inputs."""
    refuse_misfits(anc, pos, neg, label=label)
    ap, pn, an = square_distance(pos, anc), square_distance(pos, neg), square_distance(anc, neg)
    loss = torch.where(label == 1, 2 * ap - pn - an + margin, 2 * an - pn - ap + margin)
    return finish(loss.masked_fill(label != label, torch.nan), reduction, anc)


@twice.loss("bpr")
def bpr_of_two_gaps(u, d_pos, d_neg, *, similarity="dot", reduction="mean"):
    """max(x, 0) + log1p(exp(-|x|)) that asks for x twice; in float16 their gradients may meet as inf - inf."""
    refuse_misfits(u, d_pos, d_neg)

    def gap():
        return similar(u, d_neg, similarity) - similar(u, d_pos, similarity)

    loss = torch.maximum(gap(), gap().new_zeros(())) + torch.log1p(torch.exp(-gap().abs()))
    return finish(loss, reduction, u)
