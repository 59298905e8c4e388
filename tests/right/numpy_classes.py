"""Right but different, in NumPy, of the losses over classes (values only)."""

import math

import numpy as np

from ..mutants.common import Maker, entropy
from ..mutants.numpy_ import xp

make = Maker(xp, "numpy", globals())


def _log_of_exact_sum(z):
    """The logarithm of a sum that is rounded once."""
    totals = [math.fsum(row) if np.isfinite(row).all() else row.sum() for row in np.exp(z)]
    return np.log(np.array(totals, z.dtype))[:, None]


def _below(x):
    return x - x.max(1, keepdims=True)


def _pairs(z, y):
    """Σ_c y_c·log Σ_j exp(z_j - z_c): a sum for each class, shifted by the largest difference if that is finite."""
    total = np.zeros_like(z[:, 0])
    for c in range(z.shape[1]):
        gaps = np.where(y[:, c : c + 1] == 0, 0, z - z[:, c : c + 1])
        gaps[:, c] = np.where(np.isneginf(z[:, c]), 0, gaps[:, c])
        most = gaps.max(1, keepdims=True)
        shift = np.where(np.isposinf(most), 0, most)
        total = total + y[:, c] * (shift[:, 0] + np.log(np.exp(gaps - shift).sum(1)))
    return total


make.soft("soft-log-softmax")
make.soft("soft-double-inside", lambda xp, x, y: entropy(xp, x.astype(float), y.astype(float)))
make.soft("soft-exact-sum", lambda xp, x, y: (y * (_log_of_exact_sum(_below(x)) - _below(x))).sum(1))
make.soft("soft-pairs", lambda xp, x, y: _pairs(_below(x), y))
make.soft("soft-sorted", lambda xp, x, y: (y * (np.log(np.sort(np.exp(_below(x)), 1).sum(1, keepdims=True)) - _below(x))
    ).sum(1))  # fmt: skip
