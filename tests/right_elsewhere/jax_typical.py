"""As training scripts have them: every helper widens what it is given, so that gradients meet in the inputs' dtype."""

import jax
import jax.numpy as jnp
from lossmark.tests.right_elsewhere.refusals import COSINE_GUARD, refuse_misfits

from lossmark import Implementation

scripts = Implementation("elsewhere/jax-widening-helpers", framework="jax", modes=("eager", "jit", "vmap"))

twice = Implementation("elsewhere/jax-scores-twice", framework="jax")


def as_float(x):
    """float64 stays."""
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)


def length(x):
    """‖x‖ of a vector, 0 with the gradient 0."""
    square = jnp.vdot(x, x)
    return jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))


def cosine(x, y):
    """Of two vectors."""
    x, y = as_float(x), as_float(y)
    return jnp.vdot(x, y) / jnp.maximum(length(x) * length(y), COSINE_GUARD)


def dot(x, y):
    """Of two vectors."""
    return jnp.vdot(as_float(x), as_float(y))


SIMILARITIES = {"dot": jax.vmap(dot), "cosine": jax.vmap(cosine)}
FINISH = {"none": jnp.asarray, "sum": jnp.sum, "mean": jnp.mean}


@scripts.loss
def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, similarity="dot", reduction="mean"):
    """The loss of two scores."""
    refuse_misfits(u, d_pos, d_neg)
    score = SIMILARITIES[similarity]
    return FINISH[reduction](jnp.maximum(0, margin - score(u, d_pos) + score(u, d_neg))).astype(u.dtype)


@scripts.loss
def bpr(u, d_pos, d_neg, *, similarity="dot", reduction="mean"):
    """-log sigmoid of the gap."""
    refuse_misfits(u, d_pos, d_neg)
    score = SIMILARITIES[similarity]
    return FINISH[reduction](-jax.nn.log_sigmoid(score(u, d_pos) - score(u, d_neg))).astype(u.dtype)


@scripts.loss
def contrastive_pair(x1, x2, y, *, margin=1.0, reduction="mean"):
    """A function of one pair."""
    refuse_misfits(x1, x2, label=y)

    def one(a, b, same):
        d = length(as_float(a) - as_float(b))
        same = same.astype(d.dtype)
        return same * d**2 + (1 - same) * jax.nn.relu(margin - d) ** 2

    return FINISH[reduction](jax.vmap(one)(x1, x2, y)).astype(x1.dtype)


@twice.loss("bpr")
def bpr_of_two_gaps(u, d_pos, d_neg, *, similarity="dot", reduction="mean"):
    """Each side of x = 0 asks for x itself; in float16 the gradients of one's own sides meet as they are rounded."""
    refuse_misfits(u, d_pos, d_neg)
    score = SIMILARITIES[similarity]

    def gap():
        return score(u, d_neg) - score(u, d_pos)

    size = jnp.where(gap() == 0, 0 * gap(), jnp.abs(gap()))
    return FINISH[reduction](jnp.maximum(gap(), 0) + jnp.log1p(jnp.exp(-size))).astype(u.dtype)
