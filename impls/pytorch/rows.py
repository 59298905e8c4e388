"""Going over embeddings in blocks of rows that stay in the cache, in the accumulator's dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .common import wide_of

BLOCK = 1 << 20
"""Numbers of one input in a block: 4 MiB of float32."""
WORTHWHILE = 1 << 14
"""Numbers of one input below which an autograd function of a few operations costs what it saves."""


def few(x: object) -> bool:
    """Whether a tensor on a CPU is too small for anything to be gained."""
    return isinstance(x, Tensor) and x.is_cpu and x.numel() < WORTHWHILE


def _blocks(x: Tensor) -> list[slice]:
    """Blocks of rows, if one is not enough; elsewhere than on the CPU it is: a launch costs more than its traffic."""
    if x.numel() <= BLOCK or not x.is_cpu:
        return []
    rows = max(1, BLOCK // x.shape[1])
    return [slice(start, start + rows) for start in range(0, len(x), rows)]


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """``x`` in a dtype, which may be its own."""
    return x if x.dtype == dtype else x.to(dtype)  # a conversion to the same dtype costs as much as an operation


def cotangents(g: Tensor, like: Tensor, count: int) -> Tensor:
    """The cotangent of every example's loss, [B] or [], from ``g``, in the accumulator's dtype."""
    g = cast(g, wide_of(like))
    return g if count == 1 else g / count


def per_example(kernel: Callable[..., tuple[Tensor, ...]], *inputs: Tensor) -> tuple[Tensor, ...]:
    """Some numbers per row, ``kernel(*rows, scratch)``; [B] each, in the accumulator's dtype.

    ``scratch`` is room for one array of rows, or None.
    """
    wide = wide_of(inputs[0])
    blocks = _blocks(inputs[0])
    if not blocks:
        return kernel(*[cast(x, wide) for x in inputs], None)
    scratch = torch.empty_like(inputs[0][blocks[0]], dtype=wide, memory_format=torch.contiguous_format)
    parts = []
    for rows in blocks:
        here = [cast(x[rows], wide) for x in inputs]
        parts.append(kernel(*here, scratch[: len(here[0])]))
    return tuple(map(torch.cat, zip(*parts, strict=True)))


def gradients(
    kernel: Callable[..., tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    factors: Sequence[Tensor],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients ``kernel(*rows, *factors, scratch, *outs)``; [B, D] each, in the inputs' dtype.

    ``outs`` are where the kernel has to write, and ``scratch`` is room for one array of rows; or None each. A gradient
    that is not ``wanted`` is None, and its rows never leave the cache.
    """
    dtype = inputs[0].dtype
    wide = wide_of(inputs[0])
    blocks = _blocks(inputs[0])
    if not blocks:
        found = kernel(
            *[cast(x, wide) for x in inputs], *[x.unsqueeze(1) for x in factors], None, *[None] * len(inputs)
        )
        return [cast(x, dtype) if want else None for x, want in zip(found, wanted, strict=True)]
    results = [torch.empty(x.shape, dtype=dtype) if want else None for x, want in zip(inputs, wanted, strict=True)]
    scratch = torch.empty_like(inputs[0][blocks[0]], dtype=wide, memory_format=torch.contiguous_format)
    for rows in blocks:
        here = [cast(x[rows], wide) for x in inputs]
        outs = [None if result is None or dtype != wide else result[rows] for result in results]
        found = kernel(*here, *[x[rows, None] for x in factors], scratch[: len(here[0])], *outs)
        for result, out in zip(results, found, strict=True):
            if result is not None and dtype != wide:
                result[rows] = out
    return results
