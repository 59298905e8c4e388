"""The losses over classes and their gradients typed anew in mpmath, for one example. Imports nothing of lossmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mpmath import mp, mpf

Vector = Sequence[mpf]
TINY = 2600
"""Bits that tell a probability from 1 which differs from it by less than the smallest float64."""


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


def distill_kl(student: Vector, teacher: Vector, temperature: mpf) -> tuple[mpf, dict[str, list[mpf]]]:
    """T²·Σ p·log(p/q) of both softened distributions, with the gradient T·(q - p)."""

    def softened(logits: Vector) -> list[mpf]:
        powers = [mp.exp((x - max(logits)) / temperature) for x in logits]
        return [power / mp.fsum(powers) for power in powers]

    with mp.workprec(TINY):
        p, q = softened(teacher), softened(student)
        return _divergence(p, q, temperature)


def _divergence(p: Vector, q: Vector, temperature: mpf) -> tuple[mpf, dict[str, list[mpf]]]:
    value = temperature**2 * mp.fsum(a * mp.log(a / b) for a, b in zip(p, q, strict=True) if a)
    return value, {"student": [temperature * (b - a) for a, b in zip(p, q, strict=True)]}


def cross_entropy_z(
    logits: Vector, target: int, z_weight: mpf, softcap: mpf, ignore_index: mpf
) -> tuple[mpf, dict[str, list[mpf]]]:
    """-log p_y + z·(log Σ exp)², with p - δ_y + 2z·log Σ exp·p by the capped logits and 1 - tanh² by the others."""
    if target == ignore_index:
        return mpf(0), {"logits": [mpf(0)] * len(logits)}
    x = [softcap * mp.tanh(each / softcap) for each in logits] if softcap else list(logits)
    with mp.workprec(TINY):
        value, slopes = _squared(x, target, z_weight)
    if softcap:
        slopes = [slope * mp.sech(each / softcap) ** 2 for slope, each in zip(slopes, logits, strict=True)]
    return value, {"logits": slopes}


def _squared(x: Vector, target: int, z_weight: mpf) -> tuple[mpf, list[mpf]]:
    powers = [mp.exp(each) for each in x]
    p, log_z = [power / mp.fsum(powers) for power in powers], mp.log(mp.fsum(powers))
    value = log_z - x[target] + z_weight * log_z**2
    return value, [share * (1 + 2 * z_weight * log_z) - (c == target) for c, share in enumerate(p)]


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
    "cross_entropy_z": _one_that_counts,
    "linear_cross_entropy": _one_that_counts,
}
"""What one example adds to the divisor of the mean, where that is not 1."""
