"""Reported defects as losses in NumPy; some with the gradient that they have written by hand."""

import numpy as np

from lossmark import Implementation

from ..mutants.common import Maker, both, check, check_label, dots, hinge, reduced, reduced_wide, softplus, squared
from ..mutants.numpy_ import xp

make = Maker(xp, "numpy", globals())

# -- values ----------------------------------------------------------------------------------------------------------


def _whole(x):
    """In float16 numbers become integers before they are multiplied."""
    return np.trunc(x).astype(np.float32) if x.dtype == np.float16 else xp.wide(x)


def _bits_added(xp, loss, reduction):
    """In float16 the losses are added by their bits, as integers are."""
    if loss.dtype != np.float16 or reduction == "none":
        return reduced_wide(xp, loss, reduction)
    total = np.add.reduce(loss.view(np.uint16), dtype=np.uint16).view(np.float16).astype(np.float32)
    return total / len(loss) if reduction == "mean" else total


def _stagnating(xp, loss, reduction):
    """In float16 the mean adds one example after the other in float16."""
    if loss.dtype != np.float16 or reduction != "mean":
        return reduced_wide(xp, loss, reduction)
    return np.add.accumulate(loss, dtype=np.float16)[-1].astype(np.float32) / len(loss)


def _as_if_contiguous(d):
    """The numbers that lie one after the other in memory from the first on, whatever the strides."""
    if d.strides[0] < d.itemsize or not len(d):
        return d
    return np.lib.stride_tricks.as_strided(d, d.shape, (d.itemsize,))


def _layout(d, y, *, margin=1.0, reduction="mean"):
    check(d)
    check_label(y, d)
    x = xp.wide(_as_if_contiguous(d))
    return np.asarray(reduced(xp, both(xp, x, y.astype(x.dtype), margin), reduction)).astype(d.dtype)


def _expanded(xp, x, y):
    """√(xx + yy - 2xy)"""
    return np.sqrt(np.maximum((x * x).sum(-1) + (y * y).sum(-1) - 2 * (x * y).sum(-1), 0))


make.bpr("bpr-log-of-exp", lambda xp, x: np.log(1 + np.exp(x)))
make.bpr("bpr-reciprocal-of-exp", lambda xp, x: x + np.log(1 + 1 / np.exp(x)))
make.bpr("bpr-half-products-of-integers", wide=False, reduce=reduced_wide, scores=lambda xp, u, p, n: tuple(
    (_whole(u) * _whole(x)).sum(-1).astype(u.dtype) for x in (p, n)))  # fmt: skip
make.hinge("hinge-nan-becomes-0", lambda xp, pos, neg, m: np.where(m - pos + neg > 0, m - pos + neg, 0))
make.contrastive("contrastive-half-bits-added", both, reduce=_bits_added, wide=False)
make.contrastive("contrastive-half-mean-stagnates", both, reduce=_stagnating, wide=False)
make.bind("contrastive-layout-taken-for-contiguous", "contrastive", _layout)
make.pair("pair-expanded-square", _expanded)

# -- gradients -------------------------------------------------------------------------------------------------------


def _differentiated(name, loss, function, gradient):
    """Bind a loss with a gradient written by hand."""
    impl = Implementation(f"numpy/{name}", framework="numpy")
    impl.loss(loss)(function)
    impl.gradient(loss)(gradient)
    globals()[name.replace("-", "_")] = impl


def _share(reduction, batch):
    return 1 / batch if reduction == "mean" else 1


def _bpr(u, d_pos, d_neg, *, reduction="mean"):
    check(u, d_pos, d_neg)
    pos, neg = dots(xp, *map(xp.wide, (u, d_pos, d_neg)))
    return np.asarray(reduced(xp, softplus(xp, neg - pos), reduction)).astype(u.dtype)


def _bpr_from_output(u, d_pos, d_neg, *, reduction="mean"):
    """The slope 1/(1 + exp(log σ(z))) takes log σ(z) for z where there is a single example."""
    a, p, n = map(xp.wide, (u, d_pos, d_neg))
    pos, neg = dots(xp, a, p, n)
    z = pos - neg
    kept = -softplus(xp, -z) if len(z) == 1 else z
    slope = (np.exp(-softplus(xp, kept)) * _share(reduction, len(z)))[:, None]
    found = {"u": slope * (n - p), "d_pos": -slope * a, "d_neg": slope * a}
    return {name: part.astype(u.dtype) for name, part in found.items()}


def _hinge(u, d_pos, d_neg, *, margin=1.0, reduction="mean"):
    check(u, d_pos, d_neg)
    pos, neg = dots(xp, *map(xp.wide, (u, d_pos, d_neg)))
    return np.asarray(reduced(xp, hinge(xp, pos, neg, margin), reduction)).astype(u.dtype)


def _hinge_by_target(u, d_pos, d_neg, *, margin=1.0, reduction="mean"):
    """The slope of active examples is neg - pos, that by the target, where it must be 1."""
    a, p, n = map(xp.wide, (u, d_pos, d_neg))
    pos, neg = dots(xp, a, p, n)
    slope = (np.where(margin - pos + neg > 0, neg - pos, 0) * _share(reduction, len(pos)))[:, None]
    found = {"u": slope * (n - p), "d_pos": -slope * a, "d_neg": slope * a}
    return {name: part.astype(u.dtype) for name, part in found.items()}


def _pair(x1, x2, y, *, margin=1.0, reduction="mean"):
    check(x1, x2)
    check_label(y, x1)
    a, b = map(xp.wide, (x1, x2))
    return np.asarray(reduced(xp, both(xp, np.sqrt(squared(xp, a, b)), y.astype(a.dtype), margin), reduction)).astype(
        x1.dtype
    )


def _pair_over_norm(x1, x2, y, *, margin=1.0, reduction="mean"):
    """The slope of the norm is x/‖x‖: 0/0 at 0."""
    a, b = map(xp.wide, (x1, x2))
    y = y.astype(a.dtype)
    d = np.sqrt(squared(xp, a, b))
    outer = (2 * y * d - 2 * (1 - y) * np.maximum(margin - d, 0)) * _share(reduction, len(d))
    slope = outer[:, None] * ((a - b) / d[:, None])
    return {"x1": slope.astype(x1.dtype), "x2": -slope.astype(x1.dtype)}


_differentiated("bpr-slope-from-output-of-one", "bpr", _bpr, _bpr_from_output)
_differentiated("hinge-slope-by-the-target", "pairwise_hinge", _hinge, _hinge_by_target)
_differentiated("pair-slope-over-norm", "contrastive_pair", _pair, _pair_over_norm)
