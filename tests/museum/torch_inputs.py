"""Reported defects as losses in PyTorch: scores and cosines, shapes and dtypes of inputs."""

import torch

from ..mutants.common import Maker, both, check, check_label, dots, reduced, softplus
from ..mutants.torch_ import xp

make = Maker(xp, "torch", globals())

# -- scores ----------------------------------------------------------------------------------------------------------


def _stale_block(product):
    """Sums over blocks of 32 columns, the last of which holds numbers of the block before where it has none."""
    width = product.shape[1]
    filled = width % 32
    stale = product[:, width - 32 : width - filled] if width > 32 and filled else product[:, :0]
    return product.sum(-1) + stale.sum(-1)


def _running(product):
    """A sum in the dtype of its terms."""
    total = product[:, 0]
    for column in product.unbind(1)[1:]:
        total = total + column
    return total


def _half_sums(u, d_pos, d_neg, *, reduction="mean"):
    """In float16 the products and their sum over columns are float16."""
    check(u, d_pos, d_neg)
    if u.dtype == torch.float16:
        pos, neg = (_running(u * x).float() for x in (d_pos, d_neg))
    else:
        pos, neg = dots(xp, *map(xp.wide, (u, d_pos, d_neg)))
    return reduced(xp, softplus(xp, neg - pos), reduction).to(u.dtype)


make.bind("bpr-half-sums-over-columns", "bpr", _half_sums)
make.hinge("hinge-stale-columns-in-last-block", lambda xp, pos, neg, m: torch.relu(m - pos + neg),
           scores=lambda xp, u, p, n: (_stale_block(u * p), _stale_block(u * n)))  # fmt: skip
make.hinge("hinge-margin-is-a-tenth", lambda xp, pos, neg, m: torch.relu(0.1 - pos + neg))

# -- cosines ---------------------------------------------------------------------------------------------------------


def _dot(x, y):
    return (xp.wide(x) * xp.wide(y)).sum(-1).to(x.dtype)


def _own_squares(x):
    return (x * x).sum(-1, dtype=x.dtype)


def _half_cosine(x, y):
    """The product of the squared norms in the dtype of the inputs."""
    squares = (_dot(x, x) * _dot(y, y)).clamp(min=1e-16)
    return _dot(x, y) / squares.sqrt()


def _integer_cosine(x, y):
    """The squared norms in the dtype of the inputs, integers too; all else in floating point."""
    a, b = (xp.wide(z) for z in (x, y))
    norms = [xp.wide(z).norm(dim=1) if z.is_floating_point() else _own_squares(z).float().sqrt() for z in (x, y)]
    return (a * b).sum(-1) / (norms[0] * norms[1]).clamp(min=1e-8)


def _hinge_of(cosine):
    """The hinge loss with a cosine of the inputs as they are; the rest in float32 at least."""

    def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, similarity="dot", reduction="mean"):
        if cosine is not _integer_cosine:
            check(u, d_pos, d_neg)
        if similarity == "cosine":
            pos, neg = (xp.wide(cosine(u, x)) for x in (d_pos, d_neg))
        else:
            pos, neg = dots(xp, *map(xp.wide, (u, d_pos, d_neg)))
        loss = reduced(xp, torch.relu(margin - pos + neg), reduction)
        return loss.to(u.dtype) if u.is_floating_point() else loss

    return pairwise_hinge


make.bind("cosine-half-norms-overflow", "pairwise_hinge", _hinge_of(_half_cosine))
make.bind("cosine-integer-norms-overflow", "pairwise_hinge", _hinge_of(_integer_cosine))
make.cosine("cosine-each-norm-guarded", lambda xp, x, y: (x * y).sum(-1) / (
    x.norm(dim=1).clamp(min=1e-8) * y.norm(dim=1).clamp(min=1e-8)))  # fmt: skip

# -- labels ----------------------------------------------------------------------------------------------------------


def _bits_inverted(d, y, *, margin=1.0, reduction="mean"):
    """The weight of dissimilar pairs is ~y, which is 255 for a label of 0 that is uint8."""
    check(d)
    check_label(y, d)
    x = xp.wide(d)
    similar = y.to(x.dtype)
    different = (~y).to(x.dtype) if y.dtype in (torch.bool, torch.uint8) else 1 - similar
    loss = similar * x * x + different * torch.relu(margin - x) ** 2
    return reduced(xp, loss, reduction).to(d.dtype)


make.bind("contrastive-label-bits-inverted", "contrastive", _bits_inverted)
make.contrastive("contrastive-column-of-labels", both, label=lambda xp, y, d: y.to(d.dtype))
