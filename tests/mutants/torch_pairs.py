"""Mutants of the loss of pairs in PyTorch."""

import types

import torch
from lossmark.impls.pytorch.similarity import GUARD, norm, similarities
from torch.nn import functional

from . import pairs, torch_
from .pairs import Pairs, own_class

xp = types.SimpleNamespace(
    **vars(torch_.xp),
    similarities=similarities, own=lambda s: s.diagonal(), turned=lambda s: s.T,
    lse=lambda s: s.logsumexp(1), eye=lambda s: torch.eye(len(s), dtype=torch.bool),
    along=lambda s: s.sum(1),
    infinite=lambda s: torch.full_like(s, -torch.inf), beside=lambda s, own: torch.cat([s, own[:, None]], 1),
)  # fmt: skip
make = Pairs(xp, "torch", globals())


def guards_of_each_norm(x, y, kind):
    """The cosine with a guard of each norm instead of their product."""
    return x @ y.T if kind == "dot" else functional.cosine_similarity(x[:, None], y, dim=2)


# -- temperature and terms -------------------------------------------------------------------------------------------

make.pairs("nce-temperature-multiplied", heat=pairs.multiplied)
make.pairs("nce-temperature-fixed", heat=lambda s, _: s / 0.07)
make.pairs("nce-own-left-out", body=pairs.own_left_out)
make.pairs("nce-symmetric", body=pairs.both_directions)
make.pairs("nce-literal", body=pairs.literal_own)
make.pairs("nce-next-key-when-odd", body=lambda xp, s: own_class(xp, s.roll(-1, 1) if len(s) % 2 else s))
make.pairs("nce-last-keys-lost", body=lambda xp, s: _first_blocks(s))
make.pairs("nce-duplicates-masked", body=lambda xp, s: own_class(
    xp, torch.where((s >= s.diagonal()[:, None]) & ~xp.eye(s), -torch.inf, s)))  # fmt: skip


def _first_blocks(s):
    """Keys in chunks of 64, of which a last one that is not whole is lost."""
    read = s[:, : len(s) // 64 * 64] if len(s) > 64 else s
    most = torch.maximum(read.detach().amax(1), s.detach().diagonal())
    return torch.log(torch.exp(read - most[:, None]).sum(1)) - (s.diagonal() - most)


# -- similarities and their gradient ---------------------------------------------------------------------------------

make.pairs("nce-keys-detached", lambda q, k, kind: similarities(q, k.detach(), kind))
make.pairs("nce-norms-detached", lambda q, k, kind: _cosine(q, k, kind, lambda x, y: (
    norm(x)[:, None] * norm(y)).clamp_min(GUARD).detach()))  # fmt: skip
make.pairs("nce-guard-of-each-norm", guards_of_each_norm)
make.pairs("nce-tf32", lambda q, k, kind: similarities(torch_._tf32(q), torch_._tf32(k), kind))


def _cosine(q, k, kind, norms):
    """The cosine with its ``norms(x, y)`` [B, J]."""
    return q @ k.T if kind == "dot" else q @ k.T / norms(q, k)


# -- dtypes ----------------------------------------------------------------------------------------------------------

make.pairs("nce-in-the-dtype", lambda q, k, kind: similarities(xp.wide(q), xp.wide(k), kind).to(q.dtype),
           wide=lambda x: x)  # fmt: skip
make.pairs("nce-single-inside", wide=lambda x: x.float())
