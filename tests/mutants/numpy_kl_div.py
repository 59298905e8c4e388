"""Mutants of kl_div in NumPy (values only: nothing differentiates them)."""

import ml_dtypes
import numpy as np

from .common import Maker, divergence, log_or_zero, terms
from .numpy_ import xp

make = Maker(xp, "numpy", globals())

make.kl("kl-swapped", lambda xp, x, y: divergence(xp, y, np.exp(x)))
make.kl("kl-entropy-added", lambda xp, x, y: -(y * (log_or_zero(xp, y) + x)).sum(1))
make.kl("kl-bfloat16-log", lambda xp, x, y: (
    y * (log_or_zero(xp, y).astype(ml_dtypes.bfloat16).astype(x.dtype) - x)).sum(1))  # fmt: skip
make.kl("kl-mean-over-classes", lambda xp, x, y: terms(xp, x, y).mean(1))
make.kl("kl-log1p", lambda xp, x, y: (y * (np.log1p(y) - x)).sum(1))
make.kl("kl-of-odds", lambda xp, x, y: np.where(y == 0, 0, y * np.log(y / np.exp(x))).sum(1))
make.kl("kl-zero-by-log-q", lambda xp, x, y: np.where(np.isneginf(x), 0, terms(xp, x, y)).sum(1))
