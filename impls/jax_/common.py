"""What the losses in JAX have in common: accumulator, reduction, labels, argument checks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from lossmark.impls.arguments import Shape, check_indices, check_label, check_label_values


def wide(*tensors: Array) -> tuple[Array, ...]:
    """In the dtype that sums accumulate in: float64 for float64, else float32."""
    return tuple(x.astype(wide_of(x)) for x in tensors)


def wide_of(x: Array) -> jnp.dtype:
    """The dtype that sums accumulate in: float64 for float64, else float32."""
    return jnp.dtype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)


@jax.jit
def root(x: Array) -> Array:
    """√x to half an ulp, as IEEE 754 has it; without a derivative of its own.

    XLA's float32 root on a GPU is wrong by up to 0.94 ulp (measured on an H200). One step of Newton mends it: of a root
    in halves of 12 bits every product is exact, and with them what the root leaves of x.
    """
    y = jnp.sqrt(x)
    if x.dtype == jnp.float64:
        return y
    high = lax.bitcast_convert_type(lax.bitcast_convert_type(y, jnp.int32) & jnp.int32(-1 << 12), x.dtype)
    low = y - high
    left = (x - high * high) - 2 * high * low - low * low
    products_hold = (x > 2.0**-80) & (x < jnp.inf)
    return jnp.where(products_hold, y + left / jnp.where(products_hold, 2 * y, 1), y)


def reduce(loss: Array, reduction: str, dtype: jnp.dtype) -> Array:
    """The losses [B] of the examples under ``none``, else their sum or mean, rounded once to ``dtype``."""
    if reduction == "none":
        return loss.astype(dtype)
    return (jnp.sum(loss) if reduction == "sum" else jnp.mean(loss)).astype(dtype)


def checked_class(target: Array, classes: int, ignore_index: int | None = None) -> Array:
    """The targets, refused where one that counts is no class: on a CPU and not under tracing."""
    target = jnp.asarray(target)
    if not isinstance(target, jax.core.Tracer) and target.device.platform == "cpu":  # elsewhere it would force a sync
        indices = np.asarray(target)
        check_indices("target", np.where(indices == ignore_index, 0, indices), classes)
    return target


def checked_label(name: str, y: Array, shape: Shape, dtype: jnp.dtype, *, soft: bool) -> Array:
    """The label in ``dtype``, refused where its shape or a value is not allowed."""
    check_label(name, y, shape)
    y = jnp.asarray(y, dtype)
    if not isinstance(y, jax.core.Tracer) and y.device.platform == "cpu":  # elsewhere the check would force a sync
        check_label_values(name, np.asarray(y), soft=soft)
    return y
