"""Mutants of the sigmoid loss of images and texts in PyTorch."""

import torch

from . import common, pairs
from .common import softplus
from .pairs import Pairs, choices
from .torch_pairs import guards_of_each_norm, similarities, xp

make = Pairs(xp, "torch", globals())


def _signed(s):
    return torch.where(xp.eye(s), s, -s)


make.siglip("siglip-softmax", body=pairs.own_class)
make.siglip("siglip-own-only", body=lambda xp, s: softplus(xp, -s.diagonal()))
make.siglip("siglip-negatives-only", body=lambda xp, s: torch.where(xp.eye(s), 0, softplus(xp, s)).sum(1))
make.siglip("siglip-own-as-negative-too", body=lambda xp, s: choices(xp, s) + softplus(xp, s.diagonal()))
make.siglip("siglip-signs-turned", body=lambda xp, s: choices(xp, -s))
make.siglip("siglip-mean-of-row", body=lambda xp, s: choices(xp, s) / max(len(s), 1))
make.siglip("siglip-bias-ignored", logits=lambda s, scale, bias: scale * s)
make.siglip("siglip-bias-subtracted", logits=lambda s, scale, bias: scale * s - bias)
make.siglip("siglip-bias-scaled", logits=lambda s, scale, bias: scale * (s + bias))
make.siglip("siglip-scale-as-temperature", logits=lambda s, scale, bias: s / scale + bias)
make.siglip("siglip-log-of-sigmoid", body=lambda xp, s: -torch.log(torch.sigmoid(_signed(s))).sum(1))
make.siglip("siglip-eps", body=lambda xp, s: -torch.log(torch.sigmoid(_signed(s)) + 1e-7).sum(1))
make.siglip("siglip-naive-exp", body=lambda xp, s: torch.log(1 + torch.exp(-_signed(s))).sum(1))
make.siglip("siglip-texts-detached", lambda x, y, kind: similarities(x, y.detach(), kind))
make.siglip("siglip-guard-of-each-norm", guards_of_each_norm)
make.siglip("siglip-nan-hidden", body=lambda xp, s: choices(xp, torch.where(s.isnan(), 0, s)))
make.siglip("siglip-mean-over-pairs", reduce=pairs.mean_over_pairs)
make.siglip("siglip-sum-for-mean", reduce=common.total_for_mean)
