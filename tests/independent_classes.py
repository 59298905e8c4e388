"""The losses over classes and their gradients typed anew in mpmath, for one example. Imports nothing of lossmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mpmath import mp, mpf

Vector = Sequence[mpf]


def cross_entropy(
    logits: Vector, target: int, weight: Vector, ignore_index: mpf, label_smoothing: mpf
) -> tuple[mpf, dict[str, list[mpf]]]:
    """Of the target distribution q, which is smoothed and weighted: -Σ q_c·log p_c, with the gradient p·Σ q - q."""
    if target == ignore_index:
        return mpf(0), {"logits": [mpf(0)] * len(logits)}
    powers = [mp.exp(x) for x in logits]
    probabilities = [power / mp.fsum(powers) for power in powers]
    shares = [label_smoothing / len(logits) + (1 - label_smoothing) * (c == target) for c in range(len(logits))]
    q = [w * share for w, share in zip(weight, shares, strict=True)]
    value = -mp.fsum(share * mp.log(p) for share, p in zip(q, probabilities, strict=True) if share)
    return value, {"logits": [p * mp.fsum(q) - share for share, p in zip(q, probabilities, strict=True)]}


def kl_div(log_q: Vector, p: Vector) -> tuple[mpf, dict[str, list[mpf]]]:
    """The cross entropy of p and q without the entropy of p, to which a class of p = 0 adds nothing; gradient -p."""
    crossed = -mp.fsum(share * x for share, x in zip(p, log_q, strict=True))
    value = crossed + mp.fsum(share * mp.log(share) for share in p if share)
    return value, {"log_q": [-share for share in p]}


def linear_cross_entropy(
    hidden: Vector, weight: Sequence[Vector], target: int, ignore_index: mpf
) -> tuple[mpf, dict[str, list[mpf] | list[list[mpf]]]]:
    """log Σ exp⟨h, w_c - w_y⟩; its gradients are Σ p_c·(w_c - w_y) by h and (p_c - δ_cy)·h by w_c."""
    if target == ignore_index:
        return mpf(0), {"hidden": [mpf(0) for _ in hidden], "weight": [[mpf(0) for _ in hidden] for _ in weight]}
    away = [[a - b for a, b in zip(row, weight[target], strict=True)] for row in weight]
    powers = [mp.exp(mp.fdot(hidden, row)) for row in away]
    p = [power / mp.fsum(powers) for power in powers]
    slopes = [-mp.fsum(q for other, q in enumerate(p) if other != c) if c == target else p[c] for c in range(len(p))]
    return mp.log(mp.fsum(powers)), {
        "hidden": [mp.fsum(q * x for q, x in zip(p, column, strict=True)) for column in zip(*away, strict=True)],
        "weight": [[slope * x for x in hidden] for slope in slopes],
    }


def multi_margin(logits: Vector, target: int, margin: mpf) -> tuple[mpf, dict[str, list[mpf]]]:
    """Of the classes that cost something: the mean of what they cost, with a slope of 1/C each and the rest at y."""
    classes = len(logits)
    cost = {c: margin + x - logits[target] for c, x in enumerate(logits) if c != target}
    costly = [c for c, each in cost.items() if each > 0]
    slope = [mpf(c in costly) / classes for c in range(classes)]
    slope[target] = -mpf(len(costly)) / classes
    return mp.fsum(cost[c] for c in costly) / classes, {"logits": slope}


def _one_that_counts(target: int, ignore_index: mpf, **_: object) -> mpf:
    return mpf(0) if target == ignore_index else mpf(1)


def _weight_of_the_class(target: int, weight: Vector, ignore_index: mpf, **_: object) -> mpf:
    return mpf(0) if target == ignore_index else weight[target]


DIVISORS: Mapping[str, Callable[..., mpf]] = {
    "cross_entropy": _weight_of_the_class,
    "linear_cross_entropy": _one_that_counts,
}
"""What one example adds to the divisor of the mean, where that is not 1."""
