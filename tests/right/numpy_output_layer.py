"""Right but different implementations of linear_cross_entropy, in NumPy (values only)."""

import numpy as np

from ..mutants.numpy_output_layer import OutputLayer, xp

make = OutputLayer(xp, "numpy", globals())


def _of_blocks(h, w):
    """The logits of five classes at a time."""
    return np.concatenate([h @ w[start : start + 5].T for start in range(0, len(w), 5)], axis=1)


make.layer("lce-einsum", product=lambda xp, h, w: np.einsum("bd,cd->bc", h, w))
make.layer("lce-double-inside", wide=lambda x: x.astype(np.float64))
make.layer("lce-of-blocks", product=lambda xp, h, w: _of_blocks(h, w))
