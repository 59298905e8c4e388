"""Hinge and BPR in JAX: vmap, map, scan, contractions, and derivatives by hand."""

import jax
import jax.numpy as jnp
from jax import Array, lax
from lossmark.tests.right_elsewhere.refusals import COSINE_GUARD, refuse_misfits
from lossmark.tests.right_elsewhere.shared_jax import MODES, REDUCE, ranking, wide

from lossmark import Implementation

BLOCK = 32


def einsum(x: Array, y: Array) -> Array:
    """b d, b d -> b."""
    return jnp.einsum("bd,bd->b", x, y)


def vmapped(x: Array, y: Array) -> Array:
    """vmap of a product of vectors."""
    return jax.vmap(jnp.dot)(x, y)


def mapped(x: Array, y: Array) -> Array:
    """One row after the other."""
    return lax.map(lambda pair: jnp.vdot(*pair), (x, y))


def scanned(x: Array, y: Array) -> Array:
    """One column after the other, Kahan's sum; a compensation of infinity is none."""

    def step(carry, column):
        total, lost = carry
        term = column[0] * column[1] - lost
        after = total + term
        lost = lax.stop_gradient((after - total) - term)
        return (after, jnp.where(jnp.isfinite(lost), lost, 0)), None

    start = jnp.zeros(len(x), x.dtype)
    return lax.scan(step, (start, start), (x.T, y.T))[0][0]


def contracted(x: Array, y: Array) -> Array:
    """dot_general with a batch axis."""
    return lax.dot_general(x, y, (((1,), (1,)), ((0,), (0,))))


def cumulated(x: Array, y: Array) -> Array:
    """The last of the partial sums, by a tree."""
    return lax.associative_scan(jnp.add, x * y, axis=1)[:, -1]


def segments(x: Array, y: Array) -> Array:
    """Every product is added to its example's entry."""
    return jax.ops.segment_sum((x * y).ravel(), jnp.repeat(jnp.arange(len(x)), x.shape[1]), num_segments=len(x))


def blocks(x: Array, y: Array) -> Array:
    """Padded with zeros to whole blocks of columns, reduced twice."""
    room = ((0, 0), (0, -x.shape[1] % BLOCK))
    return (jnp.pad(x, room) * jnp.pad(y, room)).reshape(len(x), -1, BLOCK).sum(axis=1).sum(axis=1)


def matmul(x: Array, y: Array) -> Array:
    """Row by column."""
    return (x[:, None, :] @ y[:, :, None]).squeeze((1, 2))


@jax.checkpoint
def recomputed(x: Array, y: Array) -> Array:
    """What backward needs is computed again."""
    return jnp.sum(x * y, -1)


def logaddexp(x: Array) -> Array:
    """log(exp(x) + exp(0))."""
    return jnp.logaddexp(x, 0.0)


def log_sigmoid(x: Array) -> Array:
    """As BPR is printed."""
    return -jax.nn.log_sigmoid(-x)


def softplus(x: Array) -> Array:
    """JAX's own."""
    return jax.nn.softplus(x)


def two_sided(x: Array) -> Array:
    """Both sides with an exp that cannot overflow; the side not taken sees 0."""
    above, below = jnp.where(x > 0, x, 0), jnp.where(x > 0, 0, x)
    return jnp.where(x > 0, x + jnp.log1p(jnp.exp(-above)), jnp.log1p(jnp.exp(below)))


def maximum_and_log1p(x: Array) -> Array:
    """max(x, 0) + log1p(exp(-|x|)); the slope of |x| at 0 is 0 by the mean of both sides."""
    size = jnp.where(x > 0, x, jnp.where(x < 0, -x, 0 * x))
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-size))


@jax.custom_vjp
def softplus_by_hand(x: Array) -> Array:
    """log(1 + exp(x)), whose backward is the sigmoid."""
    return jnp.logaddexp(x, 0)


softplus_by_hand.defvjp(lambda x: (jnp.logaddexp(x, 0), x), lambda x, g: (g * jax.nn.sigmoid(x),))


@jax.custom_jvp
def softplus_forward(x: Array) -> Array:
    """log(1 + exp(x)), whose derivative is the sigmoid."""
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@softplus_forward.defjvp
def _tangent(primals, tangents):
    return softplus_forward(*primals), jax.nn.sigmoid(primals[0]) * tangents[0]


def relu(s_pos, s_neg, margin):
    """As the formula stands."""
    return jax.nn.relu(margin - s_pos + s_neg)


def maximum(s_pos, s_neg, margin):
    """The gap first."""
    return jnp.maximum(margin - (s_pos - s_neg), 0)


def where(s_pos, s_neg, margin):
    """By where; NaN goes through."""
    z = margin + s_neg - s_pos
    return jnp.where(z <= 0, 0, z)


def clip(s_pos, s_neg, margin):
    """By clip from below."""
    return jnp.clip(margin - s_pos + s_neg, 0)


def select(s_pos, s_neg, margin):
    """By lax.select."""
    z = margin - s_pos + s_neg
    return lax.select(z <= 0, jnp.zeros_like(z), z)


def safe_linalg(x: Array, y: Array, s: Array) -> Array:
    """jnp.linalg.norm with what is zero replaced before it."""

    def norm(z):
        none = jnp.all(z == 0, axis=-1, keepdims=True)
        return jnp.where(none[:, 0], 0, jnp.linalg.norm(jnp.where(none, 1, z), axis=-1))

    norms = norm(x) * norm(y)
    guarded = norms <= COSINE_GUARD
    return jnp.where(guarded, s / COSINE_GUARD, s / jnp.where(guarded, 1, norms))


def double_root(x: Array, y: Array, s: Array) -> Array:
    """One root of the product of squared norms, in float64, where it neither overflows nor vanishes."""
    squares = jnp.square(x.astype(jnp.float64)).sum(-1) * jnp.square(y.astype(jnp.float64)).sum(-1)
    return (s * lax.rsqrt(jnp.maximum(squares, COSINE_GUARD**2))).astype(s.dtype)


class Ranker:
    """A loss with its settings, called as a function is."""

    def __init__(self, dtype=jnp.float32):
        self.least = dtype

    def __call__(self, u, d_pos, d_neg, *, reduction="mean"):
        """BPR of dot products, contracted with accumulators of at least ``dtype``."""
        refuse_misfits(u, d_pos, d_neg)
        to = jnp.promote_types(u.dtype, self.least)
        s_pos, s_neg = (jnp.einsum("bd,bd->b", u, d, preferred_element_type=to) for d in (d_pos, d_neg))
        return REDUCE[reduction](jax.nn.softplus(s_neg - s_pos)).astype(u.dtype)


contraction = ranking("einsum", einsum, relu, logaddexp)
vectors = ranking("vmap", vmapped, maximum, softplus, cosine=safe_linalg)
rows = ranking("lax-map", mapped, where, log_sigmoid)
columns = ranking("scan-kahan", scanned, select, two_sided)
general = ranking("dot-general", contracted, clip, softplus_by_hand)
tree = ranking("associative-scan", cumulated, relu, softplus_forward)
segmented = ranking("segment-sum", segments, maximum, maximum_and_log1p)
padded = ranking("padded-blocks", blocks, where, softplus_forward, cosine=safe_linalg)
products = ranking("matmul", matmul, clip, logaddexp)
again = ranking("checkpoint", recomputed, select, two_sided, cosine=double_root)
called = Implementation("elsewhere/jax-object", framework="jax", modes=MODES)
called.loss("bpr")(Ranker())
difference = Implementation("elsewhere/jax-difference-first", framework="jax", modes=MODES)


@difference.loss("pairwise_hinge")
def hinge_of_difference(u, d_pos, d_neg, *, margin=1.0, reduction="mean"):
    """max(0, margin + <u, d- - d+>), one example as vmap sees it."""
    refuse_misfits(u, d_pos, d_neg)
    loss = jax.vmap(lambda a, p, n: jnp.maximum(0, margin + a @ (n - p)))(wide(u), wide(d_pos), wide(d_neg))
    return REDUCE[reduction](loss).astype(u.dtype)
