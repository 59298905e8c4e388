"""Parts of the implementations in JAX: accumulation in float32 at least, reduction, registration."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array
from lossmark.tests.right_elsewhere.refusals import COSINE_GUARD, chosen, refuse_misfits

from lossmark import Implementation

REDUCE: dict[str, Callable[[Array], Array]] = {"none": lambda loss: loss, "sum": jnp.sum, "mean": jnp.mean}
MODES = ("eager", "jit", "vmap")


def wide(x: Array) -> Array:
    """At least float32, in which 16-bit sums accumulate."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def norm(x: Array) -> Array:
    """Rows' norms; what is zero never reaches the root, so that its gradient is 0."""
    square = jnp.sum(x * x, axis=-1)
    none = square == 0
    return jnp.where(none, 0, jnp.sqrt(jnp.where(none, 1, square)))


def over_norms(x: Array, y: Array, s: Array) -> Array:
    """The cosine of rows [B, D] whose dot products [B] are known."""
    return s / jnp.maximum(norm(x) * norm(y), COSINE_GUARD)


def ranking(
    name: str,
    dot: Callable[[Array, Array], Array],
    hinge: Callable[[Array, Array, Any], Array],
    bpr: Callable[[Array], Array],
    *,
    cosine: Callable[[Array, Array, Array], Array] = over_norms,
    modes: tuple[str, ...] = MODES,
) -> Implementation:
    """Both losses of scores: ``dot`` and ``cosine`` of rows, ``hinge(s+, s-, margin)``, ``bpr(s- - s+)``."""
    impl = Implementation(f"elsewhere/jax-{name}", framework="jax", modes=modes)

    def scores(u, d_pos, d_neg, similarity):
        refuse_misfits(u, d_pos, d_neg)
        u, d_pos, d_neg = wide(u), wide(d_pos), wide(d_neg)
        s_pos, s_neg = dot(u, d_pos), dot(u, d_neg)
        return (cosine(u, d_pos, s_pos), cosine(u, d_neg, s_neg)) if chosen(similarity) else (s_pos, s_neg)

    def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, similarity="dot", reduction="mean"):
        loss = hinge(*scores(u, d_pos, d_neg, similarity), margin)
        return REDUCE[reduction](loss).astype(u.dtype)

    def bayesian(u, d_pos, d_neg, *, similarity="dot", reduction="mean"):
        s_pos, s_neg = scores(u, d_pos, d_neg, similarity)
        return REDUCE[reduction](bpr(s_neg - s_pos)).astype(u.dtype)

    impl.loss("pairwise_hinge")(pairwise_hinge)
    impl.loss("bpr")(bayesian)
    return impl


def metric(
    name: str,
    distance: Callable[[Array, Array], Array] | None = None,
    terms: Callable[[Array, Array, Any], Array] | None = None,
    triplet: Callable[[Array, Array, Array, Array, Any], Array] | None = None,
    *,
    modes: tuple[str, ...] = MODES,
) -> Implementation:
    """The losses of distances: ``distance`` of rows, ``terms(d, y, margin)``, ``triplet(a, p, n, label, margin)``."""
    impl = Implementation(f"elsewhere/jax-{name}", framework="jax", modes=modes)

    def contrastive(d, y, *, margin=1.0, reduction="mean"):
        refuse_misfits(d, label=y)
        return REDUCE[reduction](terms(wide(d), y.astype(wide(d).dtype), margin)).astype(d.dtype)

    def contrastive_pair(x1, x2, y, *, margin=1.0, reduction="mean"):
        refuse_misfits(x1, x2, label=y)
        d = distance(wide(x1), wide(x2))
        return REDUCE[reduction](terms(d, y.astype(d.dtype), margin)).astype(x1.dtype)

    def labeled_triplet(anc, pos, neg, label, *, margin=1.0, reduction="mean"):
        refuse_misfits(anc, pos, neg, label=label)
        a, p, n = wide(anc), wide(pos), wide(neg)
        return REDUCE[reduction](triplet(a, p, n, label.astype(a.dtype), margin)).astype(anc.dtype)

    if terms is not None:
        impl.loss("contrastive")(contrastive)
        impl.loss("contrastive_pair")(contrastive_pair)
    if triplet is not None:
        impl.loss("labeled_triplet")(labeled_triplet)
    return impl
