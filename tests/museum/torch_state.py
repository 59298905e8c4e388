"""Reported defects as losses in PyTorch that change the process: apart, because the losses of a file share one."""

import torch

from ..mutants.common import Maker, softplus
from ..mutants.torch_ import xp

make = Maker(xp, "torch", globals())

_seeded = []


def _seeds_once(xp, x):
    """The first call seeds everybody's random numbers."""
    if not _seeded:
        torch.manual_seed(23)
        _seeded.append(True)
    return softplus(xp, x)


make.bpr("bpr-seeds-at-first-use", _seeds_once)
