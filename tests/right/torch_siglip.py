"""Right but different implementations of the sigmoid loss of images and texts, in PyTorch."""

import torch
from torch.nn import functional

from ..mutants.pairs import choices
from ..mutants.torch_pairs import Pairs, xp
from .torch_pairs import _einsum, _normalised

make = Pairs(xp, "torch", globals())


def _signed(s):
    return torch.where(xp.eye(s), s, -s)


make.siglip("siglip-log-sigmoid", body=lambda xp, s: -functional.logsigmoid(_signed(s)).sum(1))
make.siglip(
    "siglip-signs", body=lambda xp, s: -functional.logsigmoid((2 * torch.eye(len(s), dtype=s.dtype) - 1) * s).sum(1)
)
make.siglip("siglip-double-inside", wide=lambda x: x.double())
make.siglip("siglip-normalised", _normalised)
make.siglip("siglip-einsum", _einsum)
make.siglip("siglip-turned", body=lambda xp, s: -functional.logsigmoid(_signed(s).T.contiguous()).sum(0))
make.siglip("siglip-by-row", body=lambda xp, s: torch.stack([
    -functional.logsigmoid(row).sum() for row in _signed(s)]) if len(s) else choices(xp, s))  # fmt: skip
