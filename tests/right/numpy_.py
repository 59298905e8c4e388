"""Right but different, in NumPy (values only)."""

import math

import numpy as np

from ..mutants.common import Maker, both, cross_entropy, dots, hinge, narrow, reduced_wide, triplet
from ..mutants.numpy_ import xp

make = Maker(xp, "numpy", globals())

make.bpr("bpr-vecdot", scores=lambda xp, u, p, n: tuple(np.vecdot(u, x) for x in (p, n)))
make.bpr("bpr-log1p", lambda xp, x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))
make.hinge("hinge-double-inside", hinge, scores=lambda xp, u, p, n: dots(xp, *(x.astype(float) for x in (u, p, n))))
make.hinge("hinge-correctly-rounded-sum", hinge, scores=lambda xp, u, p, n: tuple(_fsum(u * x) for x in (p, n)))
make.triplet("triplet-einsum", triplet, square=lambda xp, x, y: np.einsum("bd,bd->b", x - y, x - y))

make.bce("bce-double-inside", lambda xp, x, y, p: cross_entropy(xp, x.astype(float), y.astype(float), p))
make.bce("bce-one-logarithm", lambda xp, x, y, p: (
    (1 - y) * np.maximum(x, 0) + p * y * np.maximum(-x, 0) + (1 - y + p * y) * np.log1p(np.exp(-np.abs(x)))
))  # fmt: skip
make.bce("bce-native", reduce=reduced_wide, wide=False)

make.pair("pair-norm", lambda xp, x, y: np.linalg.norm(x - y, axis=-1))


def _fsum(products):
    return np.array([math.fsum(row) if np.isfinite(row).all() else row.sum() for row in products], products.dtype)


native = {"reduce": reduced_wide, "wide": False}
make.bpr("bpr-native", lambda xp, x: np.logaddexp(x, x.dtype.type(0)), scores=narrow, **native)
make.hinge("hinge-native", hinge, scores=narrow, **native)
make.contrastive("contrastive-native", both, **native)
