"""Mutants in JAX."""

import types
import warnings

import jax
import jax.numpy as jnp

from . import common
from .common import Maker, both, check_label, cross_entropy, dots, euclidean, reduced, softplus, squared, triplet

xp = types.SimpleNamespace(
    wide=lambda x: x.astype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32), cast=lambda x, d: x.astype(d),
    sum=lambda x: x.sum(-1), total=jnp.sum, average=jnp.mean, where=jnp.where, relu=jax.nn.relu, exp=jnp.exp,
    log=jnp.log, log1p=jnp.log1p,
    softplus=lambda x: jnp.logaddexp(x, 0.0),
    sqrt=jnp.sqrt, abs=jnp.abs, sigmoid=jax.nn.sigmoid,
    log_softmax=lambda x: jax.nn.log_softmax(x, 1),
)  # fmt: skip
make = Maker(xp, "jax", globals())


def _traced(x):
    return isinstance(x, jax.core.Tracer)


@jax.custom_vjp
def _fused(x):
    return softplus(xp, x)


_fused.defvjp(lambda x: (softplus(xp, x), x), lambda x, g: (jax.nn.sigmoid(x),))


@jax.custom_vjp
def _cubed(x, y):
    return _cubed_forward(x, y)[0]


def _cubed_forward(x, y):
    a, b = xp.wide(x), xp.wide(y)
    lengths = [jnp.sqrt(jnp.sum(v * v, -1, keepdims=True)) for v in (a, b)]
    both = jnp.maximum(lengths[0] * lengths[1], 1e-8)
    return (jnp.sum(a * b, -1, keepdims=True) / both)[:, 0], (x, y, lengths, both)


def _cubed_backward(kept, g):
    """The slope of 1 / (|x||y|) is -x / (|x|³|y|), whose factor of x is rounded to the dtype of the inputs."""
    x, y, lengths, both = kept
    a, b = xp.wide(x), xp.wide(y)
    g = xp.wide(g)[:, None]
    dot, found = jnp.sum(a * b, -1, keepdims=True), []
    for mine, other, length in ((a, b, lengths[0]), (b, a, lengths[1])):
        free = (length > 0) & (both > 1e-8)
        slope = xp.wide(xp.cast(1 / (jnp.where(free, length, 1) ** 2 * both), x.dtype))
        found.append(xp.cast(g * (other / both - jnp.where(free, dot * slope * mine, 0)), x.dtype))
    return tuple(found)


_cubed.defvjp(_cubed_forward, _cubed_backward)

make.cosine("cosine-cubed-norms", lambda xp, x, y: _cubed(x, y), wide=False)
make.bpr("bpr-wrong-under-jit", lambda xp, x: softplus(xp, x) * (1.0625 if _traced(x) else 1), modes=("jit",))
make.bpr("bpr-cotangent-ignored", lambda xp, x: _fused(x))
make.bpr("bpr-squared-sigmoid", lambda xp, x: jax.nn.sigmoid(x))
make.bpr("bpr-positive-stopped", scores=lambda xp, u, p, n: dots(xp, u, jax.lax.stop_gradient(p), n))
make.hinge("hinge-squared", lambda xp, pos, neg, m: jax.nn.relu(m - pos + neg) ** 2)
make.hinge("hinge-margin-negated", lambda xp, pos, neg, m: jax.nn.relu(neg - pos - m))
make.contrastive("contrastive-positives-only", lambda xp, d, y, m: y * d * d)
make.contrastive("contrastive-unweighted-negatives", lambda xp, d, y, m: y * d * d + jax.nn.relu(m - d) ** 2)
make.contrastive("contrastive-negatives-unsquared", lambda xp, d, y, m: y * d * d + (1 - y) * jax.nn.relu(m - d))
make.contrastive("contrastive-negatives-doubled", lambda xp, d, y, m: y * d * d + 2 * (1 - y) * jax.nn.relu(m - d) ** 2)
make.contrastive(
    "contrastive-4096-rows", lambda xp, d, y, m: both(xp, jnp.where(jnp.arange(len(d)) < 4096, d, m), y, m)
)
make.bce("bce-textbook", lambda xp, x, y, p: (1 - y) * x + (1 + (p - 1) * y) * jax.nn.softplus(-x))
make.bce("bce-of-sigmoid", lambda xp, x, y, p: (
    -(1 - y) * jnp.log(1 - jax.nn.sigmoid(x)) - p * y * jnp.log(jax.nn.sigmoid(x))))  # fmt: skip
make.bce("bce-target-as-switch", lambda xp, x, y, p: jnp.where(y == 0, softplus(xp, x), p * y * softplus(xp, -x)))
make.bce("bce-weight-squared", lambda xp, x, y, p: cross_entropy(xp, x, y, p * p))
make.bce("bce-weight-of-negatives", lambda xp, x, y, p: (
    p * (1 - y) * softplus(xp, x) + y * softplus(xp, -x)))  # fmt: skip
make.bce("bce-target-stopped-at-soft", lambda xp, x, y, p: cross_entropy(
    xp, jnp.where((y > 0) & (y < 1), jax.lax.stop_gradient(x), x), y, p))  # fmt: skip
make.bce("bce-mean-for-sum", reduce=common.mean_for_sum)
make.pair("pair-nan-gradient", lambda xp, x, y: jnp.linalg.norm(x - y, axis=-1))
make.pair("pair-masked-nan", lambda xp, x, y: jnp.where((x == y).all(-1), 0, jnp.sqrt(squared(xp, x, y))))
make.cosine("cosine-guard-in-the-dtype", lambda xp, x, y: _cosine(xp, xp.wide(x), xp.wide(y), x.dtype), wide=False)
make.cosine("cosine-no-slope-at-zero", common.zero_cosine_at_zero)


def _cosine(xp, x, y, dtype):
    lengths = euclidean(xp, x, 0 * x) * euclidean(xp, y, 0 * y)
    return xp.sum(x * y) / jnp.maximum(lengths, jnp.asarray(1e-8, dtype).astype(x.dtype))


make.pair("pair-small-is-zero", lambda xp, x, y: common.zero_below(xp, euclidean(xp, x, y), 1e-10))
make.pair(
    "pair-small-squares-lost", lambda xp, x, y: common.root_without(xp, x, y, 64 * float(jnp.finfo(x.dtype).tiny))
)
make.pair("pair-distance-as-square", euclidean, lambda xp, d, y, m: y * d + (1 - y) * jax.nn.relu(m - jnp.sqrt(d)) ** 2)
make.triplet("triplet-clamped", lambda xp, near, far, between, m: jax.nn.relu(triplet(xp, near, far, between, m)))
make.triplet("triplet-label-ignored", triplet, label=lambda xp, y: y == y)
make.triplet("triplet-no-margin", lambda xp, near, far, between, m: 2 * near - between - far)
make.triplet("triplet-roles-swapped", lambda xp, near, far, between, m: 2 * between - near - far + m)
make.triplet("triplet-mean-over-d", triplet, square=lambda xp, x, y: jnp.mean((x - y) ** 2, -1))
make.triplet("triplet-none-reduced", triplet, reduce=lambda xp, x, r: reduced(xp, x, "sum" if r == "sum" else "mean"))
make.contrastive("contrastive-relu-at-eps", lambda xp, d, y, m: y * d * d + (1 - y) * jnp.maximum(m - d, 0.03125) ** 2)
make.pair("pair-both-squared-later", euclidean, lambda xp, d, y, m: (y * d + (1 - y) * jax.nn.relu(m - d)) ** 2)
make.contrastive("contrastive-margin-doubled", lambda xp, d, y, m: both(xp, d, y, 2 * m))

# -- one graph used more than once -----------------------------------------------------------------------------------

_kept = {}


@jax.custom_vjp
def _kept_outside(x):
    return softplus(xp, x)


def _keep(x):
    _kept["slope"] = jax.nn.sigmoid(x)
    return softplus(xp, x), None


_kept_outside.defvjp(_keep, lambda _, g: (g * _kept["slope"],))
make.bpr("bpr-last-call-kept", lambda xp, x: _kept_outside(x))

# -- what a first call leaves ----------------------------------------------------------------------------------------

make.bpr("bpr-warnings-silenced", lambda xp, x: warnings.filterwarnings("ignore") or softplus(xp, x))

# -- gradients beside values that are right --------------------------------------------------------------------------


@jax.custom_vjp
def _signed(ap, an, pn, label):
    return jnp.where(label == 1, 2 * ap - an, 2 * an - ap) - pn


def _signed_back(label, g):
    sign = 2 * label - 1
    near, far = ((1 + 3 * side) / 2 for side in (sign.astype(g.dtype), -sign.astype(g.dtype)))
    return g * near, g * far, -g, None


_signed.defvjp(lambda ap, an, pn, label: (_signed(ap, an, pn, label), label), _signed_back)


def _triplet(anc, pos, neg, label, *, margin=1.0, reduction="mean"):
    check_label(label, anc)
    a, p, n = make._ready(anc, pos, neg)
    loss = _signed(squared(xp, p, a), squared(xp, a, n), squared(xp, p, n), label) + margin
    return reduced(xp, loss + 0 * label.astype(loss.dtype), reduction).astype(anc.dtype)


make.bind("triplet-sign-of-unsigned", "labeled_triplet", _triplet)

# -- input that should be refused ------------------------------------------------------------------------------------

make.hinge("hinge-margin-magnitude", lambda xp, pos, neg, m: jax.nn.relu(abs(m) - pos + neg))
