"""The losses of pairs in the batch and their gradients typed anew in mpmath. Imports nothing of lossmark."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from mpmath import mp, mpf
from numpy import ndarray

Rows = Sequence[Sequence[mpf]]
Batch = tuple[list[mpf], dict[str, list[list[mpf]]]]


def _product(x: Sequence[mpf], y: Sequence[mpf]) -> mpf:
    return mp.fsum(a * b for a, b in zip(x, y, strict=True))


def _slope_of(x: Sequence[mpf], y: Sequence[mpf], similarity: str) -> list[mpf]:
    """∂sim(x, y)/∂x."""
    if similarity == "dot":
        return list(y)
    lengths, guard = mp.sqrt(_product(x, x)) * mp.sqrt(_product(y, y)), mpf(10) ** -8
    if lengths <= guard:
        return [b / guard for b in y]
    along = _product(x, y) / _product(x, x)
    return [(b - along * a) / lengths for a, b in zip(x, y, strict=True)]


def _alike(x: Sequence[mpf], y: Sequence[mpf], similarity: str) -> mpf:
    if similarity == "dot":
        return _product(x, y)
    return _product(x, y) / max(mp.sqrt(_product(x, x) * _product(y, y)), mpf(10) ** -8)


def info_nce(query: Rows, key: Rows, temperature: mpf, similarity: str) -> Batch:
    """Losses log1p(Σ exp(s_ij - s_ii)) of the batch, and the gradient of their sum.

    With p_ij the softmax of a row, each pair of i and another j adds p_ij/τ·(∂s_ij - ∂s_ii) to it.
    """
    values = []
    found = {"query": [[[] for _ in row] for row in query], "key": [[[] for _ in row] for row in key]}
    for i, q in enumerate(query):
        scores = [_alike(q, k, similarity) / temperature for k in key]
        odds = [mp.exp(s - scores[i]) for s in scores]
        values.append(mp.log1p(mp.fsum(odds[:i] + odds[i + 1 :])))
        for j, k in enumerate(key):
            if j == i:
                continue
            pull = odds[j] / mp.fsum(odds) / temperature
            mine = zip(_slope_of(q, k, similarity), _slope_of(q, key[i], similarity), strict=True)
            _add(found["query"][i], pull, [a - b for a, b in mine])
            _add(found["key"][j], pull, _slope_of(k, q, similarity))
            _add(found["key"][i], -pull, _slope_of(key[i], q, similarity))
    return values, {name: [[mp.fsum(x) for x in row] for row in rows] for name, rows in found.items()}


def _add(sums: list[list[mpf]], pull: mpf, slope: Sequence[mpf]) -> None:
    for terms, x in zip(sums, slope, strict=True):
        terms.append(pull * x)


def clip(image: Rows, text: Rows, scale: mpf, similarity: str) -> Batch:
    """Half of the contrast of images with texts and half of that of texts with images."""
    forth, by_forth = info_nce(image, text, 1 / scale, similarity)
    back, by_back = info_nce(text, image, 1 / scale, similarity)
    values = [(a + b) / 2 for a, b in zip(forth, back, strict=True)]
    return values, {
        "image": _halves(by_forth["query"], by_back["key"]),
        "text": _halves(by_forth["key"], by_back["query"]),
    }


def _halves(x: Rows, y: Rows) -> list[list[mpf]]:
    return [[(a + b) / 2 for a, b in zip(p, q, strict=True)] for p, q in zip(x, y, strict=True)]


def siglip(image: Rows, text: Rows, scale: mpf, bias: mpf, similarity: str) -> Batch:
    """log(1 + exp(∓s_ij)) of each pair, with the slope ∓1/(1 + exp(±s_ij))."""
    values = []
    found = {"image": [[[] for _ in row] for row in image], "text": [[[] for _ in row] for row in text]}
    for i, x in enumerate(image):
        costs = []
        for j, y in enumerate(text):
            sign = -1 if i == j else 1
            odds = mp.exp(sign * (scale * _alike(x, y, similarity) + bias))
            costs.append(mp.log1p(odds))
            pull = sign * scale * odds / (1 + odds)
            _add(found["image"][i], pull, _slope_of(x, y, similarity))
            _add(found["text"][j], pull, _slope_of(y, x, similarity))
        values.append(mp.fsum(costs))
    return values, {name: [[mp.fsum(x) for x in row] for row in rows] for name, rows in found.items()}


def nt_xent(z1: Rows, z2: Rows, temperature: mpf, similarity: str) -> Batch:
    """Of all 2B views the losses log1p(Σ exp(s_vk - s_vo)), o being the other of v; the mean of each two."""
    views, count = [*z1, *z2], len(z1)
    found = [[[] for _ in row] for row in views]
    costs = []
    for v, x in enumerate(views):
        own = (v + count) % len(views)
        s = [_alike(x, y, similarity) / temperature for y in views]
        odds = {k: mp.exp(s[k] - s[own]) for k in range(len(views)) if k not in (v, own)}
        costs.append(mp.log1p(mp.fsum(odds.values())))
        for k, ratio in odds.items():
            pull = ratio / (1 + mp.fsum(odds.values())) / temperature / 2
            _add(found[v], pull, _slope_of(x, views[k], similarity))
            _add(found[v], -pull, _slope_of(x, views[own], similarity))
            _add(found[k], pull, _slope_of(views[k], x, similarity))
            _add(found[own], -pull, _slope_of(views[own], x, similarity))
    slopes = [[mp.fsum(terms) for terms in row] for row in found]
    values = [(costs[i] + costs[i + count]) / 2 for i in range(count)]
    return values, {"z1": slopes[:count], "z2": slopes[count:]}


def supcon(z: Rows, label: Sequence[mpf], temperature: mpf, similarity: str) -> Batch:
    """The mean over the positives p of log Σ exp(s_ij - s_ip): each p and another j add p_ij/(nτ)·(∂s_ij - ∂s_ip)."""
    values, found = [], [[[] for _ in row] for row in z]
    for i, x in enumerate(z):
        others = [j for j in range(len(z)) if j != i]
        positives = [j for j in others if label[j] == label[i]]
        if not positives:
            values.append(mpf(0))
            continue
        s = {j: _alike(x, z[j], similarity) / temperature for j in others}
        each = [mp.log1p(mp.fsum(mp.exp(s[j] - s[p]) for j in others if j != p)) for p in positives]
        values.append(mp.fsum(each) / len(positives))
        for j, p in itertools.product(others, positives):
            pull = 1 / mp.fsum(mp.exp(s[k] - s[j]) for k in others) / len(positives) / temperature
            if j != p:
                mine = zip(_slope_of(x, z[j], similarity), _slope_of(x, z[p], similarity), strict=True)
                _add(found[i], pull, [a - b for a, b in mine])
                _add(found[j], pull, _slope_of(z[j], x, similarity))
                _add(found[p], -pull, _slope_of(z[p], x, similarity))
    return values, {"z": [[mp.fsum(terms) for terms in row] for row in found]}


BATCHES: Mapping[str, Callable[..., Batch]] = {
    "clip": clip, "info_nce": info_nce, "nt_xent": nt_xent, "siglip": siglip, "supcon": supcon,
}  # fmt: skip
"""Losses whose examples see each other, of which a whole batch is derived at once."""


def in_rows(
    loss: str, inputs: Mapping[str, ndarray], params: Mapping[str, object]
) -> list[tuple[mpf, dict[str, list[mpf]]]]:
    """Of such a batch, by example, the loss and the gradient of the sum of all."""
    rows = {
        name: [[mpf(x) for x in row] if isinstance(row, list) else mpf(row) for row in array.tolist()]
        for name, array in inputs.items()
    }
    values, gradient = BATCHES[loss](**rows, **params)
    return [(value, {name: slopes[i] for name, slopes in gradient.items()}) for i, value in enumerate(values)]
