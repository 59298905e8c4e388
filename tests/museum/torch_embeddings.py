"""Reported defects of the contrast of embeddings within a batch, as losses in PyTorch."""

import math

import torch

from ..mutants.contrast import Contrast, masked, own_first, two_views
from ..mutants.pairs import Pairs, own_class
from ..mutants.torch_contrast import _relative_to_itself
from ..mutants.torch_pairs import similarities, xp

views = Contrast(globals())
pairs = Pairs(xp, "torch", globals())

# -- two views -------------------------------------------------------------------------------------------------------


def _by_odds(alike, x, y, taken):
    """The share of the own view among all, of which ``taken`` is what the similarity with itself adds to them."""
    z = torch.cat([x, y])
    odds = torch.exp(alike(z, z))
    own = torch.exp(torch.cat([alike(x, y).diagonal()] * 2))
    return -torch.log(own / (odds.sum(1) - taken)).view(2, -1).mean(0)


def _from_one_half(alike, x, y):
    """The gradient of the views that another device holds is not added: that of the second half of the batch."""
    half = len(x) // 2
    x, y = (torch.cat([z[:half], z[half:].detach()]) for z in (x, y))
    return two_views(alike, x, y)


def _own_power(alike, x):
    """exp(1/temperature), the power of a similarity of 1."""
    one = x.new_ones(1, 1)
    return alike(one, one).exp().item()


views.views("nx-power-of-1-taken", lambda alike, x, y: _by_odds(alike, x, y, torch.e))
views.views("nx-own-power-taken", lambda alike, x, y: _by_odds(alike, x, y, _own_power(alike, x)))
views.views("nx-eps-twice", lambda alike, x, y: 0.5 * sum(
    own_first(torch.cat([s, masked(alike(z, z)), torch.full_like(s[:, :1], math.log(2e-6))], 1))
    for s, z in ((alike(x, y), x), (alike(y, x), y))))  # fmt: skip
views.views("nx-gathered-without-sum", _from_one_half)

# -- classes ---------------------------------------------------------------------------------------------------------


def _mean_of_none(s, positive):
    """The mean over the positives, which is 0/0 where there are none."""
    log_share = s - masked(s).logsumexp(1, keepdim=True)
    return -torch.where(positive, log_share, 0).sum(1) / positive.sum(1)


views.supervised("sc-nothing-is-nan", _mean_of_none)
views.supervised("sc-long-embeddings-are-nan", _relative_to_itself)

# -- queries and keys, images and texts ------------------------------------------------------------------------------


def _own_not_divided(s, temperature):
    """Only the negatives are divided by the temperature."""
    return torch.where(xp.eye(s), s, s / temperature)


def _gathered(x, y, kind):
    """All but the own rows come from others, without a gradient."""
    own = xp.eye(x @ y.T)
    return torch.where(own, similarities(x, y, kind), similarities(x.detach(), y.detach(), kind))


pairs.pairs("nce-own-not-divided", heat=_own_not_divided, body=own_class)
pairs.clip("clip-gathered-without-gradient", _gathered)
