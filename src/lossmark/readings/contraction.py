"""Inner products of which neither factor has every axis: products of matrices, read without an array of all products.

A batch of rows times a matrix of classes would have B × D × C products. What is needed of them are sums, which are
taken slice by slice of the axis that they are summed along.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

import numpy as np

from ..dtypes import F64
from .double_double import Wide, add, mul, total

SLICE = 1 << 18
"""About so many products are in memory at a time."""


def slices(x: F64, y: F64, axis: int) -> Iterator[tuple[slice, ...]]:
    """Slices along an axis that together are the whole: one, unless there are more products than numbers."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    length, products = shape[axis], int(np.prod(shape))
    step = length if products <= max(x.size, y.size) else max(1, length * SLICE // products)
    for start in range(0, max(length, 1), max(step, 1)):
        yield (slice(None),) * axis + (slice(start, start + step),)


def product_sums(x: Wide, y: Wide, axis: int) -> Wide:
    """Σxᵢyᵢ along an axis, which is kept with size 1."""
    every = list(slices(x.hi, y.hi, axis))
    if len(every) > 1 and x.lo is None:
        return Wide(_matrix_product(x.hi, y.hi, axis))
    found = None
    for part in every:
        here = total(mul(part_of(x, part), part_of(y, part)), axis)
        found = here if found is None else add(found, here)
    assert found is not None
    return found


def part_of(x: Wide, part: tuple[slice, ...]) -> Wide:
    """Some of the numbers."""
    return Wide(x.hi[part], None if x.lo is None else x.lo[part])


def _matrix_product(x: F64, y: F64, axis: int) -> F64:
    """The same of plain numbers, by the fastest product of matrices that there is."""
    letters = string.ascii_lowercase[: x.ndim]
    of_x, of_y = ("".join(a for a, size in zip(letters, z.shape, strict=True) if size > 1) for z in (x, y))
    left = "".join(a for place, a in enumerate(letters) if place != axis and (a in of_x or a in of_y))
    shape = [1 if place == axis else max(sizes) for place, sizes in enumerate(zip(x.shape, y.shape, strict=True))]
    return np.asarray(np.einsum(f"{of_x},{of_y}->{left}", x.squeeze(), y.squeeze(), optimize=True)).reshape(shape)
