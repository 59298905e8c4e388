"""Losses in NumPy, as another distribution has them: they know nothing of lossmark."""

import numpy as np


def contrastive(d, y, *, margin=1.0, reduction="mean"):
    """y·d² + (1 - y)·max(margin - d, 0)², of distances and labels [B], both floating."""
    if np.shape(d) != np.shape(y) or d.dtype.kind in "biu":
        raise ValueError(f"expected floating d and y of one shape, got {d.dtype} {np.shape(d)} and {np.shape(y)}")
    wide = np.result_type(d.dtype, np.float32)
    distance, label = d.astype(wide), y.astype(wide)
    loss = label * distance**2 + (1 - label) * np.maximum(margin - distance, 0) ** 2
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction].astype(d.dtype)
