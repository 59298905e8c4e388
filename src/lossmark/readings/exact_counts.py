"""The exact reading of an axis whose entries occur several times: each reduction counts an entry as often as it occurs.

So log Σ cₖ·exp(xₖ) takes the numbers xₖ + log cₖ, and Σ cₖ·xₖ·yₖ the products of cₖ·xₖ and yₖ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from flint import arb

from . import exact_vectors as vectors
from .balls import BALL_FUNCTIONS, Real
from .convention import IEEE, LIMIT, Convention
from .exact_scalars import add, div, mul, sub
from .exact_vectors import Vector

Times = Sequence[arb]
"""How often each entry along the axis occurs."""


def _weighed(xs: Vector, times: Times) -> Vector:
    return [mul(x, count, IEEE) for x, count in zip(xs, times, strict=True)]


def total(xs: Vector, times: Times, convention: Convention) -> Real:
    """Σcₖxₖ."""
    return vectors.total(_weighed(xs, times))


def count(xs: Vector, times: Times, convention: Convention) -> Real:
    """Σcₖ."""
    return vectors.total(times)


def mean(xs: Vector, times: Times, convention: Convention) -> Real:
    """Σcₖxₖ/Σcₖ."""
    return div(vectors.total(_weighed(xs, times)), vectors.total(times))


def lse(xs: Vector, times: Times, convention: Convention) -> Real:
    """log Σ cₖ·exp(xₖ)."""
    return vectors.lse([add(x, count.log()) for x, count in zip(xs, times, strict=True)], convention)


def softmax(xs: Vector, times: Times, convention: Convention) -> Vector:
    """The share of one entry each: exp(xₖ - lse(x))."""
    whole = lse(xs, times, LIMIT)
    return [BALL_FUNCTIONS["exp"](sub(x, whole)) for x in xs]


def dot(xs: Vector, ys: Vector, times: Times, convention: Convention) -> Real:
    """Σcₖxₖyₖ."""
    return vectors.dot(_weighed(xs, times), ys, convention)


def sqnorm(xs: Vector, times: Times, convention: Convention) -> Real:
    """Σcₖxₖ²."""
    return dot(xs, xs, times, IEEE)


def norm(xs: Vector, times: Times, convention: Convention) -> Real:
    """√Σcₖxₖ²."""
    return vectors.norm([mul(x, count.sqrt(), IEEE) for x, count in zip(xs, times, strict=True)])


RULES: Mapping[str, Callable[..., Real | Vector]] = {
    "sum": total, "count": count, "mean": mean, "lse": lse, "softmax": softmax,
    "dot": dot, "sqnorm": sqnorm, "norm": norm,
}  # fmt: skip
"""The rule of each operation along an axis to which it matters how often an entry occurs."""
