"""A loss of your own, held to its formula: what `lossmark new impl` writes for NumPy.

Run it as it is:  lossmark check --impl THIS_FILE
Then put your own code in place of the function's body, or another loss's id in place of its name: `lossmark list`.
"""

import numpy as np

from lossmark import Implementation

impl = Implementation("mine", framework="numpy", version="0.1")  # the name that results and reports show


@impl.loss  # the id is the function's name; @impl.loss("id") gives it to any other function
def contrastive(d, y, *, margin=1.0, reduction="mean"):
    """y·d² + (1 - y)·max(margin - d, 0)², of distances and labels [B]."""
    if np.shape(d) != np.shape(y):  # or [B] and [B, 1] silently become [B, B]
        raise ValueError(f"y has shape {np.shape(y)}, expected {np.shape(d)}")
    if d.dtype.kind in "biu":  # or a loss of 1/4 is cast back to 0
        raise TypeError(f"d has dtype {d.dtype}, expected a floating one")
    wide = np.result_type(d.dtype, np.float32)  # sums of 16 bits are kept in 32
    distance, label = d.astype(wide), y.astype(wide)
    loss = label * distance**2 + (1 - label) * np.maximum(margin - distance, 0) ** 2
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction].astype(d.dtype)


@impl.gradient("contrastive")  # NumPy has no autodiff: the gradient of the reduced loss, by name of the input
def contrastive_gradient(d, y, *, margin=1.0, reduction="mean"):
    """2y·d - 2(1 - y)·max(margin - d, 0), over B for the mean."""
    wide = np.result_type(d.dtype, np.float32)
    distance, label = d.astype(wide), y.astype(wide)
    slope = 2 * label * distance - 2 * (1 - label) * np.maximum(margin - distance, 0)
    return {"d": (slope / len(slope) if reduction == "mean" else slope).astype(d.dtype)}
