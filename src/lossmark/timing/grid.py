"""What a benchmark times: groups of one loss, size, dtype, pass and policy of the allocator, and the grid of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..specification.loss import Loss


@dataclass(frozen=True)
class Group:
    """What is timed together: one loss at one size (batch, dimensions), in one dtype, on one device.

    ``allocator`` is ``warm``, ``default`` or, on a GPU, ``framework``.
    """

    loss: Loss
    size: tuple[int, int]
    dtype: str = "float32"
    backward: bool = True
    allocator: str = "warm"
    device: str = "cpu"

    @property
    def passes(self) -> str:
        """What a call does: ``fwd+bwd`` or ``fwd``."""
        return "fwd+bwd" if self.backward else "fwd"

    @property
    def key(self) -> tuple[object, ...]:
        """What names the group in a results file, by the columns of :data:`~lossmark.timing.table.KEY`."""
        return (self.loss.id, *self.size, self.dtype, self.device, self.passes, self.allocator)


QUICK_SIZES = ((64, 16), (16384, 128))
BATCH_SIZES = tuple(1 << power for power in (6, 8, 10, 12, 14, 16, 18))
WIDTHS = (16, 128, 1024)
FULL_DTYPES = ("float32", "bfloat16", "float64")
LARGE_GROUP = 1 << 20
"""Batch times dimensions from which both policies of the allocator, and forward alone, are timed."""


def grid(
    losses: Sequence[Loss], sizes: Sequence[tuple[int, int]], dtypes: Sequence[str], full: bool, device: str = "cpu"
) -> list[Group]:
    """What is timed: a small and a large size in float32, or with ``full`` every size, dtype and allocator's policy.

    Sizes (batch, dimensions) and dtypes that are given take the place of those. A loss without embeddings has no
    dimensions: with ``full`` it is timed at the first width only.
    """
    every = tuple((batch, width) for batch in BATCH_SIZES for width in WIDTHS)
    groups = []
    for loss in losses:
        flat = len(loss.axes) == 1
        for size in sizes or (every if full else QUICK_SIZES):
            if flat and full and size[1] != WIDTHS[0]:
                continue
            for dtype in dtypes or (FULL_DTYPES if full else FULL_DTYPES[:1]):
                large = size[0] * size[1] >= LARGE_GROUP
                groups += [
                    Group(loss, size, dtype, backward, allocator, device)
                    for allocator in (("warm", "default") if device == "cpu" else ("framework",))
                    for backward in (True, False)
                    if full or (large and backward) or (allocator != "default" and (large or backward))
                ]
    return groups
