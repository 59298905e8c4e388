"""A loss of your own, held to its formula: what `lossmark new impl` writes for JAX.

Run it as it is:  lossmark check --impl THIS_FILE
Then put your own code in place of the function's body, or another loss's id in place of its name: `lossmark list`.
"""

import jax.numpy as jnp

from lossmark import Implementation

impl = Implementation("mine", framework="jax", version="0.1")  # modes=("eager", "jit") runs it compiled, too


@impl.loss  # the id is the function's name; @impl.loss("id") gives it to any other function
def contrastive(d, y, *, margin=1.0, reduction="mean"):
    """y·d² + (1 - y)·max(margin - d, 0)², of distances and labels [B]; jax.grad has the gradient."""
    if d.shape != y.shape:  # or [B] and [B, 1] silently become [B, B]
        raise ValueError(f"y has shape {y.shape}, expected {d.shape}")
    if not jnp.issubdtype(d.dtype, jnp.floating):  # or a loss of 1/4 is cast back to 0
        raise TypeError(f"d has dtype {d.dtype}, expected a floating one")
    wide = jnp.promote_types(d.dtype, jnp.float32)  # sums of 16 bits are kept in 32
    distance, label = d.astype(wide), y.astype(wide)
    loss = label * distance**2 + (1 - label) * jnp.maximum(margin - distance, 0) ** 2
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction].astype(d.dtype)
