"""Right but different implementations of the loss of images and texts, in PyTorch."""

import torch
from torch.nn import functional

from ..mutants.torch_pairs import Pairs, similarities, xp
from .torch_pairs import _einsum, _FusedRows, _normalised, _online_keys

make = Pairs(xp, "torch", globals())


def _native(xp, s):
    own = torch.arange(len(s), device=s.device)
    return 0.5 * (functional.cross_entropy(s, own, reduction="none")
                  + functional.cross_entropy(s.T, own, reduction="none"))  # fmt: skip


make.clip("clip-native", body=_native)
make.clip("clip-double-inside", wide=lambda x: x.double())
make.clip("clip-normalised", _normalised)
make.clip("clip-einsum", _einsum)
make.clip("clip-online", body=lambda xp, s: 0.5 * _online_keys(s) + 0.5 * _online_keys(s.T))
make.clip("clip-fused", body=lambda xp, s: 0.5 * (_FusedRows.apply(s) + _FusedRows.apply(s.T)))
make.clip(
    "clip-both-made", lambda x, y, kind: torch.stack([similarities(x, y, kind), similarities(y, x, kind).T]).mean(0)
)
