"""Right but different, in NumPy, of kl_div (values only)."""

import math

import numpy as np
from scipy import special

from ..mutants.common import Maker, divergence, log_or_zero, reduced_wide, terms
from ..mutants.numpy_ import xp

make = Maker(xp, "numpy", globals())


def _exact_sum(each):
    """A sum that is rounded once, where no partial sum can overflow."""
    small = np.abs(each).max(1, initial=0) < 1e300
    return np.array([math.fsum(row) if fits else row.sum() for row, fits in zip(each, small, strict=True)], each.dtype)


make.kl("kl-guarded")
make.kl("kl-guarded-in-the-dtype", lambda xp, x, y: np.sum(terms(xp, x, y), 1, dtype=np.promote_types(x.dtype, "f4")),
        wide=False, reduce=reduced_wide)  # fmt: skip
make.kl("kl-xlogy", lambda xp, x, y: (special.xlogy(y, y) - y * x).sum(1))
make.kl("kl-entr", lambda xp, x, y: (-special.entr(y) - y * x).sum(1))
make.kl("kl-double-inside", lambda xp, x, y: divergence(xp, x.astype(float), y.astype(float)))
make.kl("kl-exact-sum", lambda xp, x, y: _exact_sum(terms(xp, x, y)))
make.kl("kl-sorted", lambda xp, x, y: np.sort(terms(xp, x, y), 1).sum(1))
make.kl("kl-einsum", lambda xp, x, y: np.einsum("bc,bc->b", y, log_or_zero(xp, y) - x))
