"""Right but different, in JAX."""

import jax
import jax.numpy as jnp

from ..mutants.common import (
    Maker,
    both,
    cross_entropy,
    euclidean,
    hinge,
    narrow,
    reduced_wide,
    root_unless_equal,
    softplus,
    triplet,
)
from ..mutants.jax_ import xp

make = Maker(xp, "jax", globals())


@jax.custom_vjp
def _fused(x):
    return softplus(xp, x)


_fused.defvjp(lambda x: (softplus(xp, x), x), lambda x, g: (g * jax.nn.sigmoid(x),))


@jax.jit  # a scan compiles anew at every call
def _scanned(u, x):
    return jax.lax.scan(lambda total, ab: (total + ab[0] * ab[1], None), jnp.zeros_like(u[:, 0]), (u.T, x.T))[0]


make.bpr("bpr-einsum", scores=lambda xp, u, p, n: tuple(jnp.einsum("bd,bd->b", u, x) for x in (p, n)))
make.bpr("bpr-vmap", scores=lambda xp, u, p, n: tuple(jax.vmap(jnp.dot)(u, x) for x in (p, n)))
make.bpr("bpr-scan", scores=lambda xp, u, p, n: (_scanned(u, p), _scanned(u, n)))
make.bpr("bpr-fused", lambda xp, x: _fused(x))
make.bpr("bpr-nn-softplus", lambda xp, x: jax.nn.softplus(x), modes=("eager", "jit"))
make.bpr("bpr-log-sigmoid", lambda xp, x: -jax.nn.log_sigmoid(-x))
make.hinge("hinge-maximum", lambda xp, pos, neg, m: jnp.maximum(m - pos + neg, 0), modes=("eager", "jit"))
make.hinge("hinge-select", lambda xp, pos, neg, m: jnp.where((m - pos + neg) < 0, 0, m - pos + neg))
make.contrastive(
    "contrastive-squares", lambda xp, d, y, m: y * jnp.square(d) + (1 - y) * jnp.square(jax.nn.relu(m - d))
)
make.triplet("triplet-vmap", triplet, square=lambda xp, x, y: jax.vmap(lambda a: jnp.dot(a, a))(x - y))

make.bce("bce-log-sigmoid", lambda xp, x, y, p: -(1 - y) * jax.nn.log_sigmoid(-x) - p * y * jax.nn.log_sigmoid(x))
make.bce("bce-nn-softplus", lambda xp, x, y, p: (1 - y) * jax.nn.softplus(x) + p * y * jax.nn.softplus(-x),
         modes=("eager", "jit"))  # fmt: skip
make.bce("bce-vmap", lambda xp, x, y, p: jax.vmap(lambda a, b: cross_entropy(xp, a, b, p))(x, y))
make.bce("bce-fused", lambda xp, x, y, p: (1 - y) * _fused(x) + p * y * _fused(-x))
make.bce("bce-native", reduce=reduced_wide, wide=False)

# a cosine whose gradient is made of 1/1e-8, which is beyond float16


@jax.custom_vjp
def _cosine(x, y):
    return _cosine_forward(x, y)[0]


def _cosine_forward(x, y):
    a, b = xp.wide(x), xp.wide(y)
    lengths = _length(a), _length(b)
    divisor = jnp.maximum(lengths[0] * lengths[1], 1e-8)
    cosine = (a * b).sum(-1) / divisor
    return cosine, (x, y, *lengths, divisor, cosine)


def _cosine_backward(kept, g):
    """In the dtype of the inputs: ∞·0 and ∞ - ∞ at a zero vector in float16."""
    x, y, a, b, divisor, cosine = kept
    scale = (g / divisor).astype(x.dtype)[:, None]
    sloped = a * b > 1e-8
    over, under = (
        jnp.where(sloped, cosine * s / jnp.where(sloped, t, 1), 0).astype(x.dtype)[:, None] for s, t in ((b, a), (a, b))
    )
    return scale * y - scale * over * x, scale * x - scale * under * y


def _length(x):
    return jnp.sqrt((x * x).sum(-1))


_cosine.defvjp(_cosine_forward, _cosine_backward)
make.cosine("cosine-native-gradient", lambda xp, x, y: _cosine(x, y), wide=False)

# norms by the textbook, whose squares underflow
make.pair("pair-plain-root", euclidean, modes=("eager", "jit"))
make.pair("pair-root-unless-equal", root_unless_equal)
make.pair("pair-norm", lambda xp, x, y: _norm(x - y), modes=("eager", "jit"))


def _norm(x):
    zero = (x * x).sum(-1, keepdims=True) == 0
    return jnp.where(zero[:, 0], 0, jnp.linalg.norm(jnp.where(zero, 1, x), axis=-1))


native = {"reduce": reduced_wide, "wide": False}
make.bpr("bpr-native", lambda xp, x: jax.nn.softplus(x), scores=narrow, **native)
make.hinge("hinge-native", hinge, scores=narrow, **native)
make.contrastive("contrastive-native", both, **native)
