"""The losses over classes in JAX, moving the fewest bytes; :mod:`.fused` registers them.

Forward reads the logits and keeps three numbers per row; backward reads them once more and writes the gradient.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from lossmark.impls.arguments import check_capped, check_classes, check_reduction, check_tensors

from .common import checked_class, reduce, wide, wide_of
from .lanes import lane_largest, lane_sums


class _Form(NamedTuple):
    """What a program is compiled for: the reduction, and which terms there are."""

    reduction: str
    smoothed: bool = False
    squared: bool = False
    capped: bool = False


class _Numbers(NamedTuple):
    """Label smoothing ε, the weight z of the square, and the cap s."""

    smoothing: float = 0.0
    z: float = 0.0
    cap: float = 0.0


class _Rows(NamedTuple):
    """What is known of the rows beside their logits.

    ``index`` [B] is the class, -1 where it is ignored; ``share`` [B] what a row counts, NaN where its class is none and
    0 where it is ignored; ``weights`` [C] those of all classes, or [1] of each.
    """

    index: Array
    share: Array
    weights: Array


def rows_of(target: Array, classes: int, ignore_index: int, weights: Array) -> _Rows:
    """The rows of a target [B], refused where one is no class: on a CPU and not under tracing."""
    target = checked_class(target, classes, ignore_index).astype(int)  # a narrow dtype may not hold ignore_index
    counted, known = target != ignore_index, (target >= 0) & (target < classes)
    index = jnp.where(known, target, 0)
    share = jnp.where(known, jnp.broadcast_to(weights, (classes,))[index], jnp.nan)
    return _Rows(jnp.where(counted, index, -1), jnp.where(counted, share, 0), weights)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _entropy(logits: Array, rows: _Rows, numbers: _Numbers, form: _Form) -> Array:
    return _forward(logits, rows, numbers, form)[0]


def _taken(logits: Array, rows: _Rows, numbers: _Numbers, form: _Form) -> Array:
    """The logits in the accumulator, capped; 0 in rows that are ignored."""
    x = jnp.where((rows.index >= 0)[:, None], *wide(logits), 0)
    return numbers.cap * jnp.tanh(x / numbers.cap) if form.capped else x


@functools.partial(jax.jit, static_argnames="form")
def _forward(logits: Array, rows: _Rows, numbers: _Numbers, form: _Form) -> tuple[Array, tuple[Array, ...]]:
    """The value; of each row the largest logit, the sum of exponentials below it, and the logit of y below it."""
    x = _taken(logits, rows, numbers, form)
    largest = lax.stop_gradient(lane_largest(x))
    z = x - largest[:, None]
    total, *even = lane_sums(jnp.exp(z), *[rows.weights * z] * form.smoothed)
    at_y = jnp.take_along_axis(z, jnp.maximum(rows.index, 0)[:, None], axis=1)[:, 0]
    log = jnp.log(total)
    loss = rows.share * (log - at_y)
    if form.smoothed:
        smooth = log * jnp.mean(jnp.broadcast_to(rows.weights, z.shape[1:])) - even[0] / z.shape[1]
        loss = (1 - numbers.smoothing) * loss + numbers.smoothing * smooth
    if form.squared:
        loss = loss + numbers.z * (log + largest) ** 2
    loss = jnp.where(rows.index < 0, 0, loss)
    if form.reduction == "mean":
        return (jnp.sum(loss) / jnp.sum(rows.share)).astype(logits.dtype), (largest, total, at_y)
    return reduce(loss, form.reduction, logits.dtype), (largest, total, at_y)


@functools.partial(jax.jit, static_argnames="form")
def _backward(logits: Array, rows: _Rows, kept: tuple[Array, ...], g: Array, numbers: _Numbers, form: _Form) -> Array:
    """p·(w_y·(1-ε) + ε·mean(w) + 2·z·L) - (1-ε)·w_y·δ_y - ε·w/C, times the slope of the cap; 0 where ignored."""
    x, (largest, total, at_y) = _taken(logits, rows, numbers, form), kept
    g = g.astype(x.dtype)
    if form.reduction == "mean":
        g = g / jnp.sum(rows.share)
    hard = (1 - numbers.smoothing) * g * rows.share
    of_p = evenly = jnp.zeros_like(hard)
    if form.smoothed:
        evenly = jnp.broadcast_to(g * (numbers.smoothing / x.shape[1]), hard.shape)
        of_p = evenly * jnp.sum(jnp.broadcast_to(rows.weights, x.shape[1:]))
    if form.squared:
        of_p = hard * (2 * numbers.z * (jnp.log(total) + largest))
    slope = jnp.exp(x - largest[:, None]) * ((hard + of_p) / total)[:, None]
    p_y = jnp.exp(at_y) / total
    # p - 1 of a sure class loses nothing, and of a small p the whole is rounded once
    own = jnp.where(p_y < 0.5, hard * p_y - hard, hard * (p_y - 1)) + of_p * p_y
    slope = jnp.where(jnp.arange(x.shape[1]) == rows.index[:, None], own[:, None], slope)
    if form.smoothed:
        slope = slope - evenly[:, None] * rows.weights
    if form.capped:
        slope = slope * (1 - (x / numbers.cap) ** 2)
    return jnp.where((rows.index < 0)[:, None], 0, slope).astype(logits.dtype)


def _fwd(logits: Array, rows: _Rows, numbers: _Numbers, form: _Form) -> tuple[Array, tuple[Array, _Rows, tuple]]:
    value, kept = _forward(logits, rows, numbers, form)
    return value, (logits, rows, kept)


def _bwd(numbers: _Numbers, form: _Form, kept: tuple[Array, _Rows, tuple], g: Array) -> tuple[Array, None]:
    return _backward(*kept, g, numbers, form), None


_entropy.defvjp(_fwd, _bwd)


def cross_entropy(
    logits: Array,
    target: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Array:
    """-log softmax(x)_y with weights and smoothing; arguments, result and errors as :func:`.losses.cross_entropy`."""
    batch, classes = check_tensors({"logits": logits}, rank=2, across="C")
    check_classes(target, weight, logits, ignore_index, label_smoothing)
    check_reduction(reduction, batch)
    dtype = wide_of(logits)
    rows = rows_of(target, classes, ignore_index, jnp.ones(1, dtype) if weight is None else weight.astype(dtype))
    form = _Form(reduction, smoothed=label_smoothing > 0)
    return _entropy(logits, rows, _Numbers(smoothing=label_smoothing), form)


def cross_entropy_z(
    logits: Array,
    target: Array,
    *,
    z_weight: float = 1e-4,
    softcap: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """Cross entropy of capped logits plus z·lse²; arguments, result and errors as :func:`.losses.cross_entropy_z`."""
    check_capped(logits, target, z_weight, softcap, ignore_index, reduction)
    rows = rows_of(target, logits.shape[1], ignore_index, jnp.ones(1, wide_of(logits)))
    form = _Form(reduction, squared=True, capped=softcap > 0)
    return _entropy(logits, rows, _Numbers(z=z_weight, cap=softcap), form)
