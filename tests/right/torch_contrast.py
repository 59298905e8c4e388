"""Right but different implementations of the contrast of two views, and of classes, in PyTorch."""

import torch

from ..mutants.contrast import Contrast, masked, two_views
from ..mutants.torch_pairs import xp
from .torch_pairs import _by_row, _einsum, _normalised

make = Contrast(globals())

# -- two views -------------------------------------------------------------------------------------------------------


def _stacked(alike, x, y):
    """All 2B views against all 2B, as SimCLR has it."""
    z = torch.cat([x, y])
    logits = masked(alike(z, z))
    costs = torch.nn.functional.cross_entropy(logits, torch.arange(len(z)).roll(len(x)), reduction="none")
    return costs.view(2, -1).mean(0)


def _in_halves(alike, x, y):
    """The log-sum-exp of each side by itself, relative to the own view."""
    s = alike(x, y)
    found = 0
    for across, beside in ((s, alike(x, x)), (s.T, alike(y, y))):
        own = across.diagonal()[:, None]
        found = found + torch.logaddexp((across - own).logsumexp(1), masked(beside - own).logsumexp(1))
    return found / 2


def _others(alike, x, y):
    """Of each view the odds of all others, log(1 + Σ exp(s_k - s_own))."""
    s = alike(x, y)
    found = []
    for across, beside in ((s, alike(x, x)), (s.T, alike(y, y))):
        own = across.diagonal()[:, None]
        both = torch.cat([masked(across - own), masked(beside - own)], 1)
        found.append(torch.cat([0 * own, both], 1).logsumexp(1))
    return 0.5 * (found[0] + found[1])


make.views("nx-stacked", _stacked)
make.views("nx-in-halves", _in_halves)
make.views("nx-others", _others)
make.views("nx-double-inside", wide=lambda x: x.double())
make.views("nx-normalised", alike=_normalised)
make.views("nx-einsum", alike=_einsum)
make.views("nx-by-row", alike=_by_row)
make.views("nx-turned", lambda alike, x, y: two_views(alike, y.flip(0), x.flip(0)).flip(0))

# -- classes ---------------------------------------------------------------------------------------------------------


def _places(positive, i):
    """The places of the positives among all but the example i."""
    return torch.cat([positive[:i], positive[i + 1 :]]).nonzero()[:, 0]


def _by_example(s, positive):
    """One example after the other, one positive after the other."""
    found = []
    for i, row in enumerate(s):
        others = torch.cat([row[:i], row[i + 1 :]])
        each = [others.log_softmax(0)[k] for k in _places(positive[i], i)]
        found.append(-torch.stack(each).mean() if each else row.new_zeros(()))
    return torch.stack(found)


def _mean_first(s, positive):
    """The log-sum-exp less the mean of the positives, both relative to the nearest positive."""
    paired = positive.any(1, keepdim=True)
    top = torch.where(paired, s.masked_fill(~positive, -torch.inf).amax(1, keepdim=True), 0).detach()
    d = torch.where(paired, s - top, 0)
    mean = torch.where(positive, d, 0).sum(1) / positive.sum(1).clamp(min=1)
    lse = torch.where(xp.eye(s) & paired, -torch.inf, d).logsumexp(1)
    return torch.where(paired[:, 0], lse - mean, 0)


make.supervised("sc-log-softmax")
make.supervised("sc-by-example", _by_example)
make.supervised("sc-mean-first", _mean_first)
make.supervised("sc-double-inside", wide=lambda x: x.double())
make.supervised("sc-einsum", alike=_einsum)
make.supervised("sc-normalised", _mean_first, alike=_normalised)
make.supervised("sc-by-row", alike=_by_row)
