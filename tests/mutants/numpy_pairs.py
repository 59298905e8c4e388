"""Mutants of the loss of pairs in NumPy (values only)."""

import types

import numpy as np
from lossmark.impls.numpy_.similarity import GUARD, norm, similarities

from . import numpy_, pairs
from .pairs import Pairs, own_class

xp = types.SimpleNamespace(
    **vars(numpy_.xp),
    similarities=similarities, own=lambda s: s.diagonal(), turned=lambda s: s.T,
    lse=lambda s: _lse(s), eye=lambda s: np.eye(len(s), dtype=bool),
    infinite=lambda s: np.full_like(s, -np.inf), beside=lambda s, own: np.concatenate([s, own[:, None]], 1),
)  # fmt: skip
make = Pairs(xp, "numpy", globals())


def _lse(s):
    most = s.max(1)
    return most + np.log(np.exp(s - most[:, None]).sum(1))


make.pairs("nce-no-temperature", heat=lambda s, _: s)
make.pairs("nce-own-twice", body=pairs.own_twice)
make.pairs("nce-not-shifted", body=lambda xp, s: np.log(np.exp(s).sum(1)) - s.diagonal())
make.pairs("nce-squared-norms", lambda q, k, kind: (
    q @ k.T if kind == "dot" else q @ k.T / np.maximum((norm(q) ** 2)[:, None] * norm(k) ** 2, GUARD)))  # fmt: skip
make.pairs("nce-exchanged", lambda q, k, kind: similarities(k, q, kind))
make.pairs("nce-literal", body=pairs.literal_own)
make.pairs("nce-mean-without-own", body=lambda xp, s: own_class(xp, s) * s.dtype.type(len(s) / max(len(s) - 1, 1)))
