"""Losses whose logits are products of two inputs in JAX, a block of logits at a time; :mod:`.fused` registers them.

Where gradients are asked for of one number, they are made with the losses, block by block: backward multiplies them by
its cotangent, and no block is made twice. JAX differentiates a block, which holds half of what the gradients do, or as
much as stays in the cache, whichever is more.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from lossmark.impls.arguments import IMAGES, check_class, check_output_layer, check_pairs, check_reduction

from . import losses as plain
from .classes import below_largest
from .common import wide, wide_of
from .fused_classes import rows_of
from .similarity import similarities

CACHED = 1 << 19
"""Numbers of a block: 2 MiB of float32."""
Pair = tuple[Array, Array]


class _Form(NamedTuple):
    """What a program is compiled for: where logits come from, an output layer or similarities, and the reduction."""

    similarity: str | None
    divided: bool
    reduction: str


class _Examples(NamedTuple):
    """The class of each row of x, -1 where it is ignored, and what a row counts: NaN where its class is none."""

    index: Array
    share: Array


def _costs(x: Array, y: Array, rows: _Examples, factor: float, form: _Form) -> Array:
    """The losses [R] of some rows of x [R, D] with all of y [C, D]; 0 where a row is ignored."""
    if form.similarity is None:
        counted = (rows.index >= 0)[:, None]
        s = jnp.where(counted, jnp.matmul(jnp.where(counted, x, 0), y.T, precision="highest"), 0)
    else:
        s = similarities(x, y, form.similarity)
        s = s / factor if form.divided else factor * s
    z, lse = below_largest(s)
    own = jnp.take_along_axis(z, jnp.maximum(rows.index, 0)[:, None], axis=1)
    return jnp.where(rows.index < 0, 0, rows.share * (lse - own)[:, 0])


def _all(
    x: Array, y: Array, rows: _Examples, g: Array | None, factor: float, form: _Form
) -> tuple[Array, Array | None, Array | None]:
    """The losses [B], and the gradients by x and y with cotangents ``g`` [B], if there are any."""

    def block(by_y: Array | None, part: tuple[Array, _Examples, Array | None]) -> tuple[Array | None, tuple]:
        x, rows, g = part
        if g is None:
            return None, (_costs(x, y, rows, factor, form), None)
        loss, pull = jax.vjp(lambda x, y: _costs(x, y, rows, factor, form), x, y)
        by_x, more = pull(g)
        return by_y + more, (loss, by_x)

    height = max(1, CACHED // max(1, len(y)), y.shape[1] // 2)
    count = len(x) // height
    whole = jax.tree.map(lambda a: a[: count * height].reshape(count, height, *a.shape[1:]), (x, rows, g))
    by_y, found = lax.scan(block, None if g is None else jnp.zeros_like(y), whole)
    found = jax.tree.map(lambda a: a.reshape(count * height, *a.shape[2:]), found)
    if len(x) > count * height:
        by_y, last = block(by_y, jax.tree.map(lambda a: a[count * height :], (x, rows, g)))
        found = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), found, last) if count else last
    return *found, by_y


def _among(rows: _Examples, form: _Form) -> Array | float:
    """What the sum of the losses is divided by."""
    return jnp.sum(rows.share) if form.reduction == "mean" else 1.0


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _product(x: Array, y: Array, rows: _Examples, factor: float, form: _Form) -> Array:
    """The value, of inputs in the accumulator's dtype and in it."""
    return _value(x, y, rows, factor, form)


@functools.partial(jax.jit, static_argnames="form")
def _value(x: Array, y: Array, rows: _Examples, factor: float, form: _Form) -> Array:
    loss, *_ = _all(x, y, rows, None, factor, form)
    return _reduced(loss, rows, form)


def _reduced(loss: Array, rows: _Examples, form: _Form) -> Array:
    return loss if form.reduction == "none" else jnp.sum(loss) / _among(rows, form)


@functools.partial(jax.jit, static_argnames="form")
def _both(x: Array, y: Array, rows: _Examples, factor: float, form: _Form) -> tuple[Array, Pair]:
    """The value and its gradients."""
    g = jnp.broadcast_to(1 / _among(rows, form), len(x)).astype(x.dtype)
    loss, by_x, by_y = _all(x, y, rows, g, factor, form)
    return _reduced(loss, rows, form), (by_x, by_y)


@functools.partial(jax.jit, static_argnames="form")
def _each(x: Array, y: Array, rows: _Examples, g: Array, factor: float, form: _Form) -> Pair:
    """The gradients with a cotangent of each loss."""
    _, by_x, by_y = _all(x, y, rows, g, factor, form)
    return by_x, by_y


@jax.jit
def _times(found: Pair, g: Array) -> Pair:
    return tuple(x * g for x in found)


def _fwd(x: Array, y: Array, rows: _Examples, factor: float, form: _Form) -> tuple[Array, tuple]:
    if form.reduction == "none":
        return _value(x, y, rows, factor, form), (x, y, rows)
    return _both(x, y, rows, factor, form)


def _bwd(factor: float, form: _Form, kept: tuple, g: Array) -> tuple[Array, Array, None]:
    found = _each(*kept, g, factor, form) if form.reduction == "none" else _times(kept, g)
    return *found, None


_product.defvjp(_fwd, _bwd)


def linear_cross_entropy(
    hidden: Array, weight: Array, target: Array, *, ignore_index: int = -100, reduction: str = "mean"
) -> Array:
    """-log softmax(W·h)_y; arguments, result and errors as :func:`.losses.linear_cross_entropy`."""
    check_output_layer(hidden, weight, target, ignore_index)
    check_class("target", target, len(hidden))
    check_reduction(reduction, len(hidden))
    rows = rows_of(target, len(weight), ignore_index, jnp.ones(1, wide_of(hidden)))
    examples = _Examples(rows.index, rows.share)
    return _product(*wide(hidden, weight), examples, 1.0, _Form(None, False, reduction)).astype(hidden.dtype)


def _paired(x: Array, y: Array, factor: float, form: _Form) -> Array:
    """The contrast of each row of x with all of y, in the accumulator's dtype."""
    return _product(*wide(x, y), _Examples(jnp.arange(len(x)), jnp.ones(len(x), wide_of(x))), factor, form)


def info_nce(
    query: Array, key: Array, *, temperature: float = 0.07, similarity: str = "cosine", reduction: str = "mean"
) -> Array:
    """-log softmax(sim(q_i, k_j)/τ)_i; arguments, result and errors as :func:`.losses.info_nce`."""
    check_pairs(query, key, temperature, similarity, reduction)
    if not len(query):
        return plain.info_nce(query, key, reduction=reduction)
    return _paired(query, key, temperature, _Form(similarity, True, reduction)).astype(query.dtype)


def clip(
    image: Array, text: Array, *, scale: float = 14.285714, similarity: str = "cosine", reduction: str = "mean"
) -> Array:
    """Half of each direction; arguments, result and errors as :func:`.losses.clip`."""
    check_pairs(image, text, scale, similarity, reduction, IMAGES)
    if not len(image):
        return plain.clip(image, text, reduction=reduction)
    form = _Form(similarity, False, reduction)
    return (0.5 * _paired(image, text, scale, form) + 0.5 * _paired(text, image, scale, form)).astype(image.dtype)
