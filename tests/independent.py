"""The losses and their gradients typed anew in mpmath, for one example. Imports nothing of lossmark.

Gradients are the textbook formulas, not derived from the losses here. Where IEEE arithmetic or a choice of subgradient
decides (infinities, NaN, kinks, overflow) this derivation has no opinion; the test that uses it says which cases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import FunctionType

from mpmath import mp, mpf

from tests import independent_classes

mp.prec = 400
_ONE = mpf(1)
Vector = Sequence[mpf]
Link = Callable[[mpf], tuple[mpf, mpf]]
Result = tuple[mpf, dict[str, list[mpf] | mpf]]


def _dot(x: Vector, y: Vector) -> mpf:
    return sum((a * b for a, b in zip(x, y, strict=True)), mpf(0))


def _similarity(x: Vector, y: Vector, kind: str) -> tuple[mpf, list[mpf], list[mpf]]:
    """Similarity with its gradients by x and y."""
    if kind == "dot":
        return _dot(x, y), list(y), list(x)
    nx, ny, guard = mp.sqrt(_dot(x, x)), mp.sqrt(_dot(y, y)), mpf(10) ** -8
    if nx * ny <= guard:
        return _dot(x, y) / guard, [b / guard for b in y], [a / guard for a in x]
    c = _dot(x, y) / (nx * ny)
    by_x = [b / (nx * ny) - c * a / nx**2 for a, b in zip(x, y, strict=True)]
    by_y = [a / (nx * ny) - c * b / ny**2 for a, b in zip(x, y, strict=True)]
    return c, by_x, by_y


def _ranking(u: Vector, d_pos: Vector, d_neg: Vector, kind: str, shift: mpf, loss: Link) -> Result:
    pos, pos_u, pos_d = _similarity(u, d_pos, kind)
    neg, neg_u, neg_d = _similarity(u, d_neg, kind)
    value, slope = loss(shift + neg - pos)
    return value, {
        "u": [slope * (a - b) for a, b in zip(neg_u, pos_u, strict=True)],
        "d_pos": [-slope * a for a in pos_d],
        "d_neg": [slope * a for a in neg_d],
    }


def pairwise_hinge(u: Vector, d_pos: Vector, d_neg: Vector, margin: mpf = _ONE, similarity: str = "dot") -> Result:
    return _ranking(u, d_pos, d_neg, similarity, margin, lambda z: (z, mpf(1)) if z > 0 else (mpf(0), mpf(0)))


def bpr(u: Vector, d_pos: Vector, d_neg: Vector, similarity: str = "dot") -> Result:
    return _ranking(u, d_pos, d_neg, similarity, mpf(0), lambda x: (mp.log1p(mp.exp(x)), 1 / (1 + mp.exp(-x))))


def contrastive(d: mpf, y: mpf, margin: mpf = _ONE) -> Result:
    gap = max(margin - d, mpf(0))
    return y * d * d + (1 - y) * gap * gap, {"d": 2 * y * d - 2 * (1 - y) * gap}


def contrastive_pair(x1: Vector, x2: Vector, y: mpf, margin: mpf = _ONE) -> Result:
    difference = [a - b for a, b in zip(x1, x2, strict=True)]
    d = mp.sqrt(_dot(difference, difference))
    gap = max(margin - d, mpf(0))
    factor = 2 * y - (2 * (1 - y) * gap / d if d else 0)
    by_x1 = [factor * a for a in difference]
    return y * d * d + (1 - y) * gap * gap, {"x1": by_x1, "x2": [-a for a in by_x1]}


def labeled_triplet(anc: Vector, pos: Vector, neg: Vector, label: mpf, margin: mpf = _ONE) -> Result:
    def squared(x: Vector, y: Vector) -> mpf:
        return sum(((a - b) ** 2 for a, b in zip(x, y, strict=True)), mpf(0))

    near, far = (pos, neg) if label == 1 else (neg, pos)
    value = 2 * squared(near, anc) - squared(near, far) - squared(anc, far) + margin
    triples = list(zip(anc, near, far, strict=True))
    by_anc = [4 * (a - n) - 2 * (a - f) for a, n, f in triples]
    by_near = [4 * (n - a) - 2 * (n - f) for a, n, f in triples]
    by_far = [-2 * (f - n) - 2 * (f - a) for a, n, f in triples]
    return value, {"anc": by_anc, "pos": by_near if label == 1 else by_far, "neg": by_far if label == 1 else by_near}


def bce_with_logits(logits: mpf, target: mpf, pos_weight: mpf = _ONE) -> Result:
    positive, negative = 1 / (1 + mp.exp(-logits)), 1 / (1 + mp.exp(logits))
    value = (1 - target) * mp.log1p(mp.exp(logits)) + pos_weight * target * mp.log1p(mp.exp(-logits))
    return value, {"logits": positive * (1 - target) - pos_weight * target * negative}


def huber(x: mpf, t: mpf, delta: mpf = _ONE) -> Result:
    d = abs(x - t)
    if d <= delta:
        return d**2 / 2, {"x": x - t}
    return delta * (d - delta / 2), {"x": delta if x > t else -delta}


def sigmoid_focal(logits: mpf, target: mpf, alpha: mpf, gamma: mpf) -> Result:
    """-α·(1-p)^γ·log p of the probability p of the label, with the derivative by p times p·(1-p), and its sign."""
    sign, share = (1, alpha) if target == 1 else (-1, 1 - alpha)
    p, q = 1 / (1 + mp.exp(-sign * logits)), 1 / (1 + mp.exp(sign * logits))
    by_p = gamma * q ** (gamma - 1) * mp.log(p) - q**gamma / p
    return -share * q**gamma * mp.log(p), {"logits": sign * share * by_p * p * q}


def soft_cross_entropy(logits: Vector, target: Vector) -> Result:
    """Sum of y_c*log(sum of exp(x_j - x_c)), and the sum of y_j*p_c - y_c*p_j over the other classes j."""
    powers = [mp.exp(x) for x in logits]
    shares = [power / sum(powers) for power in powers]
    value, slopes = mpf(0), []
    for c, (x, y) in enumerate(zip(logits, target, strict=True)):
        others = [j for j in range(len(logits)) if j != c]
        value += y * mp.log1p(sum((mp.exp(logits[j] - x) for j in others), mpf(0)))
        slopes.append(sum((target[j] * shares[c] - y * shares[j] for j in others), mpf(0)))
    return value, {"logits": slopes}


LOSSES: Mapping[str, object] = {
    name: function
    for name, function in {**vars(independent_classes), **globals()}.items()
    if isinstance(function, FunctionType) and name[0] != "_"
}
"""Every function above or of the module of losses over classes whose name has no underscore in front is a loss."""
