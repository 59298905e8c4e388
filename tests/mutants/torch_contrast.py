"""Mutants of the contrast of two views, and of classes, in PyTorch."""

import torch

from . import common, pairs
from .contrast import Contrast, counted, masked, mean_of_positives, own_first, positives, two_views
from .torch_pairs import guards_of_each_norm, similarities, xp

make = Contrast(globals())


# -- two views -------------------------------------------------------------------------------------------------------


def _odds(alike, x, y):
    """The shares of all others, and of its own other view, of each first view."""
    s = alike(x, y)
    return torch.exp(torch.cat([s, masked(alike(x, x))], 1)).sum(1), s.diagonal()


make.views("nx-first-view-only", lambda alike, x, y: own_first(torch.cat([alike(x, y), masked(alike(x, x))], 1)))
make.views("nx-views-added", lambda alike, x, y: 2 * two_views(alike, x, y))
make.views("nx-self-counted", lambda alike, x, y: two_views(alike, x, y, mask=lambda s: s))
make.views("nx-self-is-zero", lambda alike, x, y: two_views(alike, x, y, mask=lambda s: s.masked_fill(xp.eye(s), 0)))
make.views("nx-self-subtracted", lambda alike, x, y: two_views(
    alike, x, y, mask=lambda s: s - 1e4 * torch.eye(len(s), dtype=s.dtype)))  # fmt: skip
make.views("nx-other-side-only", lambda alike, x, y: 0.5 * (own_first(alike(x, y)) + own_first(alike(x, y).T)))
make.views("nx-own-side-only", lambda alike, x, y: two_views(
    lambda a, b: alike(a, b) if a is b else torch.where(xp.eye(alike(a, b)), alike(a, b), -torch.inf), x, y)
)  # fmt: skip
make.views("nx-next-view", lambda alike, x, y: two_views(alike, x, y.roll(1, 0) if len(x) % 2 == 0 else y))
make.views("nx-temperature-multiplied", heat=pairs.multiplied)
make.views("nx-temperature-fixed", heat=lambda s, _: s / 0.5)
make.views("nx-naive-exp", lambda alike, x, y: 0.5 * sum(
    torch.log(total) - own for total, own in (_odds(alike, x, y), _odds(alike, y, x))))  # fmt: skip
make.views("nx-eps", lambda alike, x, y: -0.5 * sum(
    torch.log(torch.exp(own) / (total + 1e-8) + 1e-8) for total, own in (_odds(alike, x, y), _odds(alike, y, x))
))  # fmt: skip
make.views("nx-second-detached", lambda alike, x, y: two_views(alike, x, y.detach()))
make.views("nx-guard-of-each-norm", alike=guards_of_each_norm)
make.views("nx-nan-hidden", heat=lambda s, t: torch.where(s.isnan(), 0, s / t))
make.views("nx-narrow", wide=lambda x: x)
make.views("nx-sum-for-mean", reduce=common.total_for_mean)

# -- classes ---------------------------------------------------------------------------------------------------------


def _by_positive(s, positive, denominator):
    """The mean over the positives of the logarithm of a ``denominator`` less their similarity."""
    n = positive.sum(1)
    costs = torch.where(positive, denominator - s, 0).sum(1) / n.clamp(min=1)
    return torch.where(n > 0, costs, 0)


def _mean_inside(s, positive):
    """The outside logarithm of a mean of shares, L_in."""
    paired = positive.any(1, keepdim=True)
    shares = torch.where(positive | ~paired, s, -torch.inf).logsumexp(1) - torch.log(positive.sum(1).clamp(min=1))
    return torch.where(paired[:, 0], counted(s, positive).logsumexp(1) - shares, 0)


def _relative_to_itself(s, positive):
    """Shifted by the largest of a row, of which it is one itself."""
    z = s - s.detach().amax(1, keepdim=True)
    return _by_positive(z, positive, torch.log(torch.where(xp.eye(s), 0, z.exp()).sum(1, keepdim=True)))


make.supervised("sc-mean-inside", _mean_inside)
make.supervised("sc-self-is-positive", same=lambda label, itself: label[:, None] == label)
make.supervised("sc-self-counted", lambda s, positive: _by_positive(s, positive, s.logsumexp(1, keepdim=True)))
make.supervised("sc-negatives-only", lambda s, positive: _by_positive(
    s, positive, counted(s, positive).masked_fill(positive, -torch.inf).logsumexp(1, keepdim=True)))  # fmt: skip
make.supervised("sc-sum-of-positives", lambda s, positive: positive.sum(1) * mean_of_positives(s, positive))
make.supervised("sc-alone-is-nan", lambda s, positive: torch.where(
    positive.any(1), mean_of_positives(s, positive), torch.nan))  # fmt: skip
make.supervised("sc-alone-is-counted", lambda s, positive: torch.where(
    positive.any(1), mean_of_positives(s, positive), torch.where(xp.eye(s), -1e4, s).logsumexp(1)))  # fmt: skip
make.supervised("sc-first-positive", lambda s, positive: mean_of_positives(s, positive & (positive.cumsum(1) == 1)))
make.supervised("sc-base-temperature", lambda s, positive: mean_of_positives(s, positive) / 0.7)
make.supervised("sc-temperature-multiplied", heat=pairs.multiplied)
make.supervised("sc-relative-to-itself", _relative_to_itself)
make.supervised("sc-naive-exp", lambda s, positive: _by_positive(s, positive, torch.log(
    torch.exp(counted(s, positive)).sum(1, keepdim=True))))  # fmt: skip
make.supervised("sc-eps", lambda s, positive: _by_positive(s, positive, torch.log(
    torch.exp(counted(s, positive)).sum(1, keepdim=True) + 1e-6)))  # fmt: skip
make.supervised("sc-labels-are-signs", same=lambda label, itself: positives(label.sign(), itself))
make.supervised("sc-others-detached", alike=lambda x, y, kind: similarities(x, y.detach(), kind))
make.supervised("sc-guard-of-each-norm", alike=guards_of_each_norm)
make.supervised("sc-nan-hidden", heat=lambda s, t: torch.where(s.isnan(), 0, s / t))
make.supervised("sc-narrow", wide=lambda x: x)
make.supervised("sc-mean-over-paired", reduce=common.mean_of_nonzero)
