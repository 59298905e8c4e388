"""optax: its losses of classes, logits, numbers and pairs, and ranking losses of the difference of two scores."""

from __future__ import annotations

import jax.numpy as jnp
import optax
from jax import Array

from lossmark import Implementation

impl = Implementation("optax", framework="jax", version=optax.__version__, modes=("eager", "jit"))


def _reduced(loss: Array, reduction: str) -> Array:
    return loss if reduction == "none" else jnp.sum(loss) if reduction == "sum" else jnp.mean(loss)


# -- ranking ---------------------------------------------------------------------------------------------------------


def _difference(u: Array, d_pos: Array, d_neg: Array) -> Array:
    """s⁺ - s⁻ [B]."""
    return jnp.sum(u * d_pos, axis=-1) - jnp.sum(u * d_neg, axis=-1)


@impl.loss
def pairwise_hinge(u: Array, d_pos: Array, d_neg: Array) -> Array:
    """max(0, 1 - y·x) at y = 1, mean."""
    x = _difference(u, d_pos, d_neg)
    return jnp.mean(optax.losses.hinge_loss(x, jnp.ones_like(x)))


@impl.loss
def bpr(u: Array, d_pos: Array, d_neg: Array) -> Array:
    """-y·log σ(x) - (1 - y)·log σ(-x) at y = 1, mean."""
    x = _difference(u, d_pos, d_neg)
    return jnp.mean(optax.losses.sigmoid_binary_cross_entropy(x, jnp.ones_like(x)))


# -- classes ---------------------------------------------------------------------------------------------------------


@impl.loss
def cross_entropy(logits: Array, target: Array, *, reduction: str = "mean") -> Array:
    """``softmax_cross_entropy_with_integer_labels``: without weights, ignored rows and smoothing."""
    return _reduced(optax.losses.softmax_cross_entropy_with_integer_labels(logits, target), reduction)


@impl.loss
def soft_cross_entropy(logits: Array, target: Array, *, reduction: str = "mean") -> Array:
    """``softmax_cross_entropy``."""
    return _reduced(optax.losses.softmax_cross_entropy(logits, target.astype(logits.dtype)), reduction)


@impl.loss
def kl_div(log_q: Array, p: Array, *, reduction: str = "mean") -> Array:
    """``kl_divergence``."""
    return _reduced(optax.losses.kl_divergence(log_q, p.astype(log_q.dtype)), reduction)


# -- logits, numbers and pairs ---------------------------------------------------------------------------------------


@impl.loss
def bce_with_logits(logits: Array, target: Array, *, reduction: str = "mean") -> Array:
    """``sigmoid_binary_cross_entropy``: without a weight of the positives."""
    return _reduced(optax.losses.sigmoid_binary_cross_entropy(logits, target.astype(logits.dtype)), reduction)


@impl.loss
def sigmoid_focal(
    logits: Array, target: Array, *, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> Array:
    """``sigmoid_focal_loss``."""
    target = target.astype(logits.dtype)
    return _reduced(optax.losses.sigmoid_focal_loss(logits, target, alpha=alpha, gamma=gamma), reduction)


@impl.loss
def huber(x: Array, t: Array, *, delta: float = 1.0, reduction: str = "mean") -> Array:
    """``huber_loss``."""
    return _reduced(optax.losses.huber_loss(x, t, delta=delta), reduction)


@impl.loss
def nt_xent(z1: Array, z2: Array, *, temperature: float = 0.5) -> Array:
    """``ntxent`` of all views, of which both of an example are one class; its mean is over all views."""
    label = jnp.tile(jnp.arange(len(z1)), 2)
    return optax.losses.ntxent(jnp.concatenate([z1, z2]), label, temperature)
