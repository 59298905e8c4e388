"""Mutants in NumPy of the losses over classes (values only: nothing differentiates them)."""

import ml_dtypes
import numpy as np

from .common import Maker, entropy
from .numpy_ import xp

make = Maker(xp, "numpy", globals())


def _shifted(x, y, shift):
    z = x - shift
    return (y * (np.log(np.exp(z).sum(1, keepdims=True)) - z)).sum(1)


def _softmax(x):
    return np.exp(xp.log_softmax(x))


def _blocks(x):
    """Without the classes that fill no block of 128, where there are more than 128."""
    return x[:, : x.shape[1] // 128 * 128] if x.shape[1] > 128 else x


make.soft("soft-eps-added", lambda xp, x, y: -(y * np.log(_softmax(x) + 1e-10)).sum(1))
make.soft("soft-largest-of-batch", lambda xp, x, y: _shifted(x, y, x.max(initial=0)))
make.soft("soft-not-shifted", lambda xp, x, y: _shifted(x, y, 0))
make.soft("soft-target-normalised", lambda xp, x, y: entropy(xp, x, y / y.sum(1, keepdims=True)))
make.soft("soft-bfloat16-share", lambda xp, x, y: -(
    y * np.log(_softmax(x).astype(ml_dtypes.bfloat16).astype(x.dtype))).sum(1))  # fmt: skip
make.soft("soft-last-classes-lost", lambda xp, x, y: entropy(xp, _blocks(x), _blocks(y)))
