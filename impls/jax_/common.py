"""What the losses in JAX have in common: accumulator, reduction, labels, argument checks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lossmark.arguments import SIMILARITIES, check_choice, check_label, check_reduction, check_tensors


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
        _refuse(name, np.asarray(y), soft=soft)
    return y


def _refuse(name: str, y: np.ndarray, *, soft: bool) -> None:
    """Raise ValueError for a value that is not in [0, 1], or not 0 or 1; NaN passes.

    Looks at the least and the largest first, which costs least, and at each only where those are no answer.
    """
    if soft and y.size and y.min() >= 0 and y.max() <= 1:
        return
    bad = ~((y >= 0) & (y <= 1) | np.isnan(y)) if soft else ~((y == 0) | (y == 1) | np.isnan(y))
    if bad.any():
        allowed = "[0, 1]" if soft else "0 or 1"
        raise ValueError(f"{name} has the value {y[bad].flat[0]}, expected {allowed}")


def check_ranking(u: Array, d_pos: Array, d_neg: Array, similarity: str, reduction: str) -> None:
    """The argument checks of the losses of (query, positive, negative); raises TypeError or ValueError."""
    batch, _ = check_tensors({"u": u, "d_pos": d_pos, "d_neg": d_neg}, rank=2)
    check_choice("similarity", similarity, SIMILARITIES)
    check_reduction(reduction, batch)
