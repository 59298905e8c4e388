"""Losses of embeddings that are held against others of their kind, with exchangeable parts, in PyTorch."""

import torch
from lossmark.impls.arguments import VIEWS, check_pairs, check_supervised
from torch.nn import functional

from .common import Maker
from .torch_pairs import similarities, xp


def masked(s):
    """Without the similarity of each with itself."""
    return s.masked_fill(xp.eye(s), -torch.inf)


def own_first(s):
    """-log softmax(s) of the entry of each row i at i."""
    return functional.cross_entropy(s, torch.arange(len(s)), reduction="none")


def two_views(alike, x, y, mask=masked):
    """The mean of both views; ``alike(x, y)`` are similarities over the temperature, ``mask(s)`` takes out its own."""
    s = alike(x, y)
    first, second = torch.cat([s, mask(alike(x, x))], 1), torch.cat([s.T, mask(alike(y, y))], 1)
    return 0.5 * (own_first(first) + own_first(second))


def divided(s, temperature):
    """The similarities over the temperature."""
    return s / temperature


def positives(label, itself):
    """Who is of the class of each."""
    return (label[:, None] == label) & ~itself


def counted(s, positive):
    """The similarities with all others, zeros for what has no positive."""
    return torch.where(positive.any(1, keepdim=True), masked(s), 0)


def mean_of_positives(s, positive):
    """The mean over the positives of -log softmax over all others."""
    log_share = torch.log_softmax(counted(s, positive), 1)
    return -torch.where(positive, log_share, 0).sum(1) / positive.sum(1).clamp(min=1)


class Contrast(Maker):
    """Makes implementations of nt_xent and supcon."""

    def __init__(self, bound):
        super().__init__(xp, "torch", bound)

    def views(self, name, body=two_views, alike=similarities, heat=divided, reduce=None, wide=None, modes=("eager",)):
        """``body(alike, x, y)`` of ``alike(x, y, similarity)`` after ``heat(s, temperature)``."""

        def nt_xent(z1, z2, *, temperature=0.5, similarity="cosine", reduction="mean"):
            check_pairs(z1, z2, temperature, similarity, reduction, VIEWS)
            x, y = ((wide or xp.wide)(z) for z in (z1, z2))
            loss = body(lambda a, b: heat(alike(a, b, similarity), temperature), x, y) if len(x) else x.sum(1)
            return self._result(loss, reduction, z1, reduce)

        self.bind(name, "nt_xent", nt_xent, modes)

    def supervised(
        self, name, body=mean_of_positives, alike=similarities, same=positives, heat=divided, reduce=None, wide=None,
        modes=("eager",),
    ):  # fmt: skip
        """``body(s, positive)`` of ``alike(x, x, similarity)`` after ``heat``; ``same(label, itself)`` of a class."""

        def supcon(z, label, *, temperature=0.1, similarity="dot", reduction="mean"):
            check_supervised(z, label, temperature, similarity, reduction)
            x = (wide or xp.wide)(z)
            if len(x):
                s = heat(alike(x, x, similarity), temperature)
                loss = body(s, same(label, xp.eye(s)))
            else:
                loss = x.sum(1)
            return self._result(loss, reduction, z, reduce)

        self.bind(name, "supcon", supcon, modes)
