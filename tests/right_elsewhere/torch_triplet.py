"""The labelled triplet loss in PyTorch. A NaN label is added as 0·label, or the index it makes is refused."""

import torch
from lossmark.tests.right_elsewhere.shared_torch import metric
from torch import Tensor
from torch.nn import functional


def sqnorm(x: Tensor) -> Tensor:
    """‖x‖² over the last axis."""
    return torch.einsum("...d,...d->...", x, x)


def by_table(anc, pos, neg, label, margin):
    """Factors of the three squared distances, looked up by the label."""
    table = anc.new_tensor([[-1, -1, 2], [2, -1, -1]])
    squares = torch.stack([sqnorm(pos - anc), sqnorm(pos - neg), sqnorm(anc - neg)], dim=1)
    return (table[label.long()] * squares).sum(1) + margin


def by_exchange(anc, pos, neg, label, margin):
    """Label 0 exchanges the two others."""
    first = (label == 1)[:, None]
    near, far = torch.where(first, pos, neg), torch.where(first, neg, pos)
    loss = 2 * sqnorm(near - anc) - sqnorm(near - far) - sqnorm(anc - far) + margin
    return loss + 0 * label


def by_roll(anc, pos, neg, label, margin):
    """All three at once: each minus its neighbour in a ring."""
    ring = torch.stack([anc, pos, neg])
    squares = (ring - ring.roll(-1, 0)).square().sum(-1)  # anc-pos, pos-neg, neg-anc
    factors = torch.stack([3 * label - 1, -torch.ones_like(label), 2 - 3 * label])
    return torch.einsum("kb,kb->b", factors, squares) + margin


def by_element(anc, pos, neg, label, margin):
    """The three squares of an element are joined before the sum."""
    ap, pn, an = (pos - anc) ** 2, (pos - neg) ** 2, (anc - neg) ** 2
    joined = torch.where((label == 1)[:, None], 2 * ap - pn - an, 2 * an - pn - ap)
    return joined.sum(1) + margin + 0 * label


def by_mse(anc, pos, neg, label, margin):
    """Squares by mse_loss, both losses, then a choice; the larger ones last."""
    ap, pn, an = (functional.mse_loss(x, y, reduction="none").sum(-1) for x, y in ((pos, anc), (pos, neg), (anc, neg)))
    chosen = torch.where(label > 0.5, (ap - pn) + (ap - an), (an - pn) + (an - ap)) + margin
    return torch.where(label.isnan(), label, chosen)


def by_example(anc, pos, neg, label, margin):
    """vmap of one triplet."""

    def one(a, p, n, y):
        ap, pn, an = torch.dot(p - a, p - a), torch.dot(p - n, p - n), torch.dot(a - n, a - n)
        return torch.where(y == 1, 2 * ap - (pn + an), 2 * an - (pn + ap)) + margin + 0 * y

    return torch.vmap(one)(anc, pos, neg, label) if len(label) else label * anc.sum()


def by_index(anc, pos, neg, label, margin):
    """The examples of each label apart, put back by index_put; any other label is refused."""
    one, zero = (label == 1).nonzero().squeeze(1), (label == 0).nonzero().squeeze(1)
    if len(one) + len(zero) != len(label):
        raise ValueError("labels must be 0 or 1")
    loss = torch.zeros_like(label)
    for rows, near, far in ((one, pos, neg), (zero, neg, pos)):
        a, near, far = anc[rows], near[rows], far[rows]
        part = 2 * sqnorm(near - a) - sqnorm(a - far) - sqnorm(near - far) + margin
        loss = loss.index_put((rows,), part)
    return loss


def by_double(anc, pos, neg, label, margin):
    """float64 inside, rows a few at a time."""
    parts = []
    for a, p, n, y in zip(*(x.double().split(16) for x in (anc, pos, neg, label)), strict=True):
        ap, pn, an = (torch.linalg.vecdot(z, z) for z in (p - a, p - n, a - n))
        parts.append(torch.where(y == 1, (2 * ap - an) - pn + margin, (2 * an - ap) - pn + margin) + 0 * y)
    return torch.cat(parts)


table = metric("triplet-table", triplet=by_table)
exchange = metric("triplet-exchange", triplet=by_exchange, modes=("eager", "compile", "vmap"))
ring = metric("triplet-ring", triplet=by_roll)
element = metric("triplet-by-element", triplet=by_element, modes=("eager", "compile"))
mse = metric("triplet-mse", triplet=by_mse)
example = metric("triplet-vmap", triplet=by_example)
index = metric("triplet-index", triplet=by_index)
double = metric("triplet-double", triplet=by_double)
