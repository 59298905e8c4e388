"""Right but different implementations of the loss of pairs, in NumPy (values only)."""

import math

import numpy as np

from ..mutants.numpy_pairs import Pairs, xp

make = Pairs(xp, "numpy", globals())


def _loops(s):
    """Row by row, the exponentials summed exactly."""
    found = []
    for row, own in zip(s, s.diagonal(), strict=True):
        most = row.max()
        found.append(np.log(s.dtype.type(math.fsum(np.exp(row - most)))) - (own - most))
    return np.array(found, s.dtype)


make.pairs("nce-loops", body=lambda xp, s: _loops(s))
make.pairs("nce-double-inside", wide=lambda x: x.astype(np.float64))
make.pairs("nce-products-by-sum", lambda q, k, kind: (
    (q[:, None] * k).sum(2) if kind == "dot" else xp.similarities(q, k, kind)))  # fmt: skip
