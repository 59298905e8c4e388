"""What the losses in JAX have in common: accumulator, reduction, labels, argument checks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from lossmark.impls.arguments import check_label, check_label_values


def wide(*tensors: Array) -> tuple[Array, ...]:
    """In the dtype that sums accumulate in: float64 for float64, else float32."""
    return tuple(x.astype(wide_of(x)) for x in tensors)


def wide_of(x: Array) -> jnp.dtype:
    """The dtype that sums accumulate in: float64 for float64, else float32."""
    return jnp.dtype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)


def reduce(loss: Array, reduction: str, dtype: jnp.dtype) -> Array:
    """The losses [B] of the examples under ``none``, else their sum or mean, rounded once to ``dtype``."""
    if reduction == "none":
        return loss.astype(dtype)
    return (jnp.sum(loss) if reduction == "sum" else jnp.mean(loss)).astype(dtype)


def checked_label(name: str, y: Array, batch: int | None, dtype: jnp.dtype, *, soft: bool) -> Array:
    """The label [B] in ``dtype``, refused where its shape or a value is not allowed."""
    check_label(name, y, batch)
    y = jnp.asarray(y, dtype)
    if not isinstance(y, jax.core.Tracer) and y.device.platform == "cpu":  # elsewhere the check would force a sync
        check_label_values(name, np.asarray(y), soft=soft)
    return y
