"""The losses of distances in JAX."""

import jax
import jax.numpy as jnp
from jax import Array, lax
from lossmark.tests.right_elsewhere.refusals import refuse_misfits
from lossmark.tests.right_elsewhere.shared_jax import MODES, REDUCE, metric, norm, wide

from lossmark import Implementation


def linalg_norm(x: Array, y: Array) -> Array:
    """jnp.linalg.norm with what is zero replaced before and after it."""
    z = x - y
    none = jnp.all(z == 0, axis=1)
    return jnp.where(none, 0, jnp.linalg.norm(jnp.where(none[:, None], 1, z), axis=1))


def double_where(x: Array, y: Array) -> Array:
    """The root of the sum of squares, masked at 0 on both sides of the root."""
    return norm(x - y)


def vector(x: Array, y: Array) -> Array:
    """vmap of one pair, z·z and a root under cond."""

    def one(a, b):
        square = jnp.dot(a - b, a - b)
        return lax.cond(square == 0, jnp.zeros_like, jnp.sqrt, square)

    return jax.vmap(one)(x, y)


def mapped(x: Array, y: Array) -> Array:
    """One pair after the other."""
    return lax.map(lambda pair: norm(pair[0] - pair[1]), (x, y))


@jax.custom_vjp
def by_hand(x: Array, y: Array) -> Array:
    """‖x - y‖, whose backward divides by 1 where it is 0."""
    return jnp.sqrt(jnp.sum((x - y) ** 2, axis=-1))


def _forward(x, y):
    d = by_hand(x, y)
    return d, (x - y, d)


def _backward(kept, g):
    z, d = kept
    along = (g / jnp.where(d == 0, 1, d))[:, None] * jnp.where(d == 0, 0, 1)[:, None] * z
    return along, -along


by_hand.defvjp(_forward, _backward)


@jax.custom_jvp
def root(square: Array) -> Array:
    """A root with the slope 0 at 0."""
    return jnp.sqrt(square)


@root.defjvp
def _slope(primals, tangents):
    square = primals[0]
    none = square == 0
    return root(square), jnp.where(none, 0, 0.5 * tangents[0] / root(jnp.where(none, 1, square)))


def scanned(x: Array, y: Array) -> Array:
    """Squares added column by column, then the root with a slope of its own."""
    start = jnp.zeros(len(x), x.dtype)
    squares, _ = lax.scan(lambda total, column: (total + (column[0] - column[1]) ** 2, None), start, (x.T, y.T))
    return root(squares)


def formula(d, y, margin):
    """As it is printed."""
    return y * d**2 + (1 - y) * jnp.maximum(margin - d, 0) ** 2


def chosen(d, y, margin):
    """Hard labels choose, soft ones mix."""
    same, other = jnp.square(d), jnp.square(jax.nn.relu(margin - d))
    return jnp.select([y == 1, y == 0], [same, other], y * same + (1 - y) * other)


def weighted(d, y, margin):
    """Weights times squares, contracted over the two of them."""
    squares = jnp.stack([d * d, jnp.where(d >= margin, 0, margin - d) ** 2])
    return jnp.einsum("kb,kb->b", jnp.stack([y, 1 - y]), squares)


def powers(d, y, margin):
    """integer_pow and clip."""
    return y * lax.integer_pow(d, 2) + (1 - y) * lax.integer_pow(jnp.clip(margin - d, 0), 2)


def sqnorm(x: Array) -> Array:
    """‖x‖² over the last axis."""
    return jnp.vecdot(x, x)


def triplet_exchange(anc, pos, neg, label, margin):
    """Label 0 exchanges the two others."""
    first = (label == 1)[:, None]
    near, far = jnp.where(first, pos, neg), jnp.where(first, neg, pos)
    return 2 * sqnorm(near - anc) - sqnorm(near - far) - sqnorm(anc - far) + margin + 0 * label


def triplet_factors(anc, pos, neg, label, margin):
    """Factors that are linear in the label."""
    squares = jnp.stack([sqnorm(pos - anc), sqnorm(pos - neg), sqnorm(anc - neg)], axis=1)
    factors = jnp.stack([3 * label - 1, -jnp.ones_like(label), 2 - 3 * label], axis=1)
    return jnp.sum(factors * squares, axis=1) + margin


def triplet_vmap(anc, pos, neg, label, margin):
    """One example at a time, by cond."""

    def one(a, p, n, y):
        ap, pn, an = sqnorm(p - a), sqnorm(p - n), sqnorm(a - n)
        near, far = lax.cond(y == 1, lambda: (ap, an), lambda: (an, ap))
        return (near - pn) + (near - far) + margin + 0 * y

    return jax.vmap(one)(anc, pos, neg, label)


def triplet_ring(anc, pos, neg, label, margin):
    """Each minus its neighbour in a ring; of both losses the label's is taken."""
    ring = jnp.stack([anc, pos, neg])
    ap, pn, na = jnp.sum((ring - jnp.roll(ring, -1, axis=0)) ** 2, axis=-1)
    both = jnp.stack([2 * na - (pn + ap), 2 * ap - (pn + na)]) + margin
    loss = jnp.take_along_axis(both, (label == 1).astype(jnp.int32)[None], axis=0)[0]
    return jnp.where(jnp.isnan(label), label, loss)


def triplet_element(anc, pos, neg, label, margin):
    """The three squares of an element are joined before the sum."""
    ap, pn, an = (pos - anc) ** 2, (pos - neg) ** 2, (anc - neg) ** 2
    return jnp.where((label == 1)[:, None], 2 * ap - pn - an, 2 * an - pn - ap).sum(1) + margin + 0 * label


def triplet_scan(anc, pos, neg, label, margin):
    """Three running sums over the columns."""

    def step(sums, column):
        a, p, n = column
        return (sums[0] + (p - a) ** 2, sums[1] + (p - n) ** 2, sums[2] + (a - n) ** 2), None

    zero = jnp.zeros_like(label)
    (ap, pn, an), _ = lax.scan(step, (zero, zero, zero), (anc.T, pos.T, neg.T))
    return jnp.where(label == 1, 2 * ap - pn - an + margin, 2 * an - pn - ap + margin) + 0 * label


def squares_untouched(x1, x2, y, *, margin=1.0, reduction="mean"):
    """The positive part takes the sum of squares as it is, and only the negative part its root."""
    refuse_misfits(x1, x2, label=y)
    square = jnp.einsum("bd,bd->b", wide(x1) - wide(x2), wide(x1) - wide(x2))
    y = y.astype(square.dtype)
    return REDUCE[reduction](y * square + (1 - y) * jax.nn.relu(margin - root(square)) ** 2).astype(x1.dtype)


safe_linalg = metric("linalg-norm", linalg_norm, formula, triplet_exchange)
safe_root = metric("double-where", double_where, chosen, triplet_factors)
vectors = metric("vmap-cond", vector, weighted, triplet_vmap)
rows = metric("lax-map-norm", mapped, powers, triplet_ring)
hand = metric("custom-vjp-norm", by_hand, formula, triplet_element)
columns = metric("scan-custom-jvp", scanned, chosen, triplet_scan)
squares = Implementation("elsewhere/jax-squares-untouched", framework="jax", modes=MODES)
squares.loss("contrastive_pair")(squares_untouched)
