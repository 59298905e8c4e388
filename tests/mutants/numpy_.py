"""Mutants in NumPy (values only: nothing differentiates them)."""

import types

import ml_dtypes
import numpy as np

from . import common
from .common import Maker, both, cross_entropy, dots, hinge, softplus, triplet

xp = types.SimpleNamespace(
    wide=lambda x: x.astype(np.float64 if x.dtype == np.float64 else np.float32),
    cast=lambda x, d: np.asarray(x).astype(d), sum=lambda x: x.sum(-1), total=np.sum, average=np.mean, where=np.where,
    relu=lambda x: np.maximum(x, 0), exp=np.exp, log=np.log, log1p=np.log1p,
    softplus=lambda x: np.logaddexp(x, x.dtype.type(0)),
    sqrt=np.sqrt, abs=np.abs, log_softmax=lambda x: _log_softmax(x),
)  # fmt: skip
make = Maker(xp, "numpy", globals())


def _log_softmax(x):
    z = x - x.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


make.bpr("bpr-narrow-sum", scores=lambda xp, u, p, n: tuple((u * x).sum(-1, dtype=u.dtype) for x in (p, n)), wide=False)
make.bpr("bpr-bfloat16-inside", scores=lambda xp, u, p, n: dots(xp, *(
    x.astype(ml_dtypes.bfloat16).astype(np.float32) for x in (u, p, n))))  # fmt: skip
make.bpr("bpr-mean-of-nonzero", reduce=common.mean_of_nonzero)
make.bpr("bpr-truncated-series", lambda xp, x: np.where(np.abs(x) < 0.01, np.log(2) + x / 2, softplus(xp, x)))
make.hinge("hinge-half-inside", lambda xp, pos, neg, m: np.maximum(0, m / 2 - pos + neg))
make.hinge("hinge-nan-swallowed", lambda xp, pos, neg, m: np.fmax(m - pos + neg, 0))
make.hinge("hinge-mean-for-sum", hinge, reduce=common.mean_for_sum)
make.hinge("hinge-4096-rows", lambda xp, pos, neg, m: hinge(xp, pos, neg, m) * (np.arange(len(pos)) < 4096))
make.bce("bce-textbook", lambda xp, x, y, p: (1 - y) * x + (1 + (p - 1) * y) * softplus(xp, -x))
make.bce("bce-textbook-native", lambda xp, x, y, p: (1 - y) * x + (1 + (p - 1) * y) * softplus(xp, -x),
         reduce=common.reduced_wide, wide=False)  # fmt: skip
make.bce("bce-bfloat16-inside", lambda xp, x, y, p: cross_entropy(
    xp, x.astype(ml_dtypes.bfloat16).astype(x.dtype), y, p))  # fmt: skip
make.bce("bce-base-two", lambda xp, x, y, p: cross_entropy(xp, x, y, p) * x.dtype.type(1.4426950408889634))
make.bce("bce-negatives-only", lambda xp, x, y, p: (1 - y) * softplus(xp, x))
make.bce("bce-mean-of-nonzero", reduce=common.mean_of_nonzero)
make.bce("bce-negative-weight-as-zero", lambda xp, x, y, p: cross_entropy(xp, x, y, max(p, 0)))
make.contrastive("contrastive-cubed", lambda xp, d, y, m: y * d * d * d + (1 - y) * np.maximum(m - d, 0) ** 2)
make.triplet("triplet-biased-mean", triplet, reduce=common.biased_mean)
make.pair("pair-largest-coordinate", lambda xp, x, y: np.abs(x - y).max(-1), both)
make.contrastive("contrastive-sum-from-mean", both, reduce=common.sum_from_mean)
make.triplet("triplet-negative-margin-as-zero", lambda xp, near, far, pn, m: triplet(xp, near, far, pn, max(m, 0)))


def _cast_back(d, y, *, margin=1.0, reduction="mean"):
    common.check_label(y, d)
    wide = xp.wide(d)
    return xp.cast(common.reduced(xp, both(xp, wide, xp.cast(y, wide.dtype), margin), reduction), d.dtype)


make.bind("contrastive-integers-cast-back", "contrastive", _cast_back)
