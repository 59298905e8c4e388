"""Mutants of cross_entropy in NumPy (values only)."""

import types

import numpy as np

from . import numpy_
from .cross_entropy import Entropy, literal, mean_of_others

xp = types.SimpleNamespace(
    **vars(numpy_.xp),
    integer=lambda x: x.astype(np.int64), ones=lambda x: np.ones(x.shape[1], x.dtype), zeros=np.zeros_like,
    numbers=lambda x: x, at=lambda w, i: w[i], take=lambda x, i: np.take_along_axis(x, i[:, None], axis=1)[:, 0],
    largest=lambda x: x.max(axis=1, keepdims=True),
)  # fmt: skip
make = Entropy(xp, "numpy", globals())

make.entropy("ce-in-the-dtype", wide=lambda x: x)
make.entropy("ce-literal", log_p=literal)
make.entropy("ce-no-shift", log_p=lambda xp, x: x - np.log(np.exp(x).sum(1, keepdims=True)))
make.entropy("ce-negative-from-the-end", index=lambda xp, i, x: i)
make.entropy("ce-smoothing-to-others", smooth=mean_of_others)
make.entropy("ce-mean-over-rows-that-count", divisor=lambda xp, w_y, counted: counted.sum())
