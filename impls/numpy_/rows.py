"""Going over embeddings in blocks of rows that stay in the second-level cache, in the accumulator's dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .common import Array, wide_of

FORWARD, BACKWARD = 1 << 18, 1 << 17
"""Numbers of one input in a block: a pass forward holds one array beside its inputs, a pass backward several."""


def _blocks(x: Array, numbers: int) -> list[slice]:
    rows = max(1, numbers // max(1, x.shape[1]))
    return [slice(start, start + rows) for start in range(0, len(x), rows)]


def per_example(kernel: Callable[..., tuple[Array, ...]], *inputs: Array) -> tuple[Array, ...]:
    """Some numbers per row, ``kernel(*rows)``; [B] each, in the accumulator's dtype."""
    wide = wide_of(inputs[0])
    blocks = _blocks(inputs[0], FORWARD) or [slice(0, 0)]
    parts = [kernel(*[x[rows].astype(wide, copy=False) for x in inputs]) for rows in blocks]
    return parts[0] if len(parts) == 1 else tuple(map(np.concatenate, zip(*parts, strict=True)))


def gradients(kernel: Callable[..., tuple[Array, ...]], inputs: Sequence[Array], *vectors: Array) -> list[Array]:
    """The gradients ``kernel(*rows, *vectors, *outs)``; [B, D] each, in the inputs' dtype.

    ``vectors`` are [B]; ``outs`` are where the kernel has to write, or None each.
    """
    dtype = inputs[0].dtype
    wide = wide_of(inputs[0])
    results = [np.empty(x.shape, dtype) for x in inputs]
    for rows in _blocks(inputs[0], BACKWARD):
        here = [x[rows].astype(wide, copy=False) for x in inputs]
        outs = [result[rows] if dtype == wide else None for result in results]
        found = kernel(*here, *[x[rows] for x in vectors], *outs)
        if dtype != wide:
            for result, out in zip(results, found, strict=True):
                result[rows] = out
    return results
