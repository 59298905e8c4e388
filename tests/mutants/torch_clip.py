"""Mutants of the loss of images and texts in PyTorch."""

import torch

from . import common, pairs
from .pairs import Pairs, own_class
from .torch_pairs import guards_of_each_norm, similarities, xp

make = Pairs(xp, "torch", globals())

make.clip("clip-one-direction", body=own_class)
make.clip("clip-other-direction", body=pairs.other_direction)
make.clip("clip-sum-of-directions", body=lambda xp, s: own_class(xp, s) + own_class(xp, s.T))
make.clip("clip-third", body=lambda xp, s: (own_class(xp, s) + 2 * own_class(xp, s.T)) / 3)
make.clip("clip-divided", heat=pairs.over)
make.clip("clip-scale-at-most-100", heat=lambda s, scale: s * min(scale, 100.0))
make.clip("clip-scale-fixed", heat=lambda s, scale: s * 14.285714)
make.clip("clip-literal", body=lambda xp, s: (pairs.literal_own(xp, s) + pairs.literal_own(xp, s.T)) / 2)
make.clip("clip-own-left-out", body=lambda xp, s: (pairs.own_left_out(xp, s) + pairs.own_left_out(xp, s.T)) / 2)
make.clip("clip-over-all-pairs", body=lambda xp, s: s.flatten().logsumexp(0) - s.diagonal())
make.clip("clip-texts-detached", lambda x, y, kind: similarities(x, y.detach(), kind))
make.clip("clip-columns-detached", body=lambda xp, s: (own_class(xp, s) + own_class(xp, s.T.detach())) / 2)
make.clip("clip-guard-of-each-norm", guards_of_each_norm)
make.clip("clip-nan-hidden", body=lambda xp, s: pairs.both_directions(xp, torch.where(s.isnan(), 0, s)))
make.clip("clip-in-the-dtype", lambda x, y, kind: similarities(xp.wide(x), xp.wide(y), kind).to(x.dtype),
          wide=lambda x: x)  # fmt: skip
make.clip("clip-mean-over-pairs", reduce=pairs.mean_over_pairs)
make.clip("clip-sum-for-mean", reduce=common.total_for_mean)
