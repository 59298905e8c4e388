"""optax: its losses of classes, logits, numbers and pairs, and ranking losses of the difference of two scores."""

from __future__ import annotations

import jax.numpy as jnp
import optax
from jax import Array
from lossmark.impls.peers.evaluated import FOCUS, FROM_THE_SUM, SHARE, SOFT

from lossmark import Deviation, Implementation

impl = Implementation("optax", framework="jax", version=optax.__version__, modes=("eager", "jit"))

PAGE = "https://optax.readthedocs.io/en/latest/api/losses.html"


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


OF_BOTH_CLASSES = Deviation(
    why="the other class counts 0 times its loss, which is NaN where that is infinite",
    formula="softplus(s_neg - s_pos) + 0*softplus(s_pos - s_neg)",
    url=f"{PAGE}#optax.losses.sigmoid_binary_cross_entropy",
)


@impl.loss("bpr", deviates=OF_BOTH_CLASSES)
def bpr(u: Array, d_pos: Array, d_neg: Array) -> Array:
    """-y·log σ(x) - (1 - y)·log σ(-x) at y = 1, mean."""
    x = _difference(u, d_pos, d_neg)
    return jnp.mean(optax.losses.sigmoid_binary_cross_entropy(x, jnp.ones_like(x)))


# -- classes ---------------------------------------------------------------------------------------------------------


IN_THE_DTYPE = "in 16 bits the log-probabilities are sums in the dtype of the logits"
ROUNDED_SUM = Deviation(
    why=IN_THE_DTYPE,
    formula=FROM_THE_SUM,
    accumulate="dtype",
    url=f"{PAGE}#optax.losses.softmax_cross_entropy_with_integer_labels",
)


@impl.loss("cross_entropy", deviates=ROUNDED_SUM)
def cross_entropy(logits: Array, target: Array, *, reduction: str = "mean") -> Array:
    """``softmax_cross_entropy_with_integer_labels``: without weights, ignored rows and smoothing."""
    return _reduced(optax.losses.softmax_cross_entropy_with_integer_labels(logits, target), reduction)


SOFT_ROUNDED_SUM = Deviation(
    why=IN_THE_DTYPE,
    formula=SOFT,
    accumulate="dtype",
    url=f"{PAGE}#optax.losses.softmax_cross_entropy",
)


@impl.loss("soft_cross_entropy", deviates=SOFT_ROUNDED_SUM)
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


FOCAL = Deviation(
    why="1 - p_t is taken by subtraction, and the other class counts 0 times its loss",
    formula=f"{SHARE}*((target*softplus(-logits) + (1 - target)*softplus(logits))*{FOCUS})",
    url=f"{PAGE}#optax.losses.sigmoid_focal_loss",
)


@impl.loss("sigmoid_focal", deviates=FOCAL)
def sigmoid_focal(
    logits: Array, target: Array, *, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> Array:
    """``sigmoid_focal_loss``."""
    target = target.astype(logits.dtype)
    return _reduced(optax.losses.sigmoid_focal_loss(logits, target, alpha=alpha, gamma=gamma), reduction)


AS_A_MINIMUM = Deviation(
    why="the error less its part up to delta is taken times delta: the gradient of a small error is lost beside delta",
    formula="0.5*min(abs(x - t), delta)**2 + delta*(abs(x - t) - min(abs(x - t), delta))",
    url=f"{PAGE}#optax.losses.huber_loss",
)


@impl.loss("huber", deviates=AS_A_MINIMUM)
def huber(x: Array, t: Array, *, delta: float = 1.0, reduction: str = "mean") -> Array:
    """``huber_loss``."""
    return _reduced(optax.losses.huber_loss(x, t, delta=delta), reduction)


@impl.loss
def nt_xent(z1: Array, z2: Array, *, temperature: float = 0.5) -> Array:
    """``ntxent`` of all views, of which both of an example are one class; its mean is over all views."""
    label = jnp.tile(jnp.arange(len(z1)), 2)
    return optax.losses.ntxent(jnp.concatenate([z1, z2]), label, temperature)
