"""Where the axes of a formula lie in the arrays of a reading: each at a place of its own, 1 long where it is absent.

So operands align by the names of their axes, and NumPy's broadcasting does the rest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..formula.operations import AXIAL
from ..formula.tree import Dims, Node, Sizes

Result = TypeVar("Result")


def laid_out(array: NDArray[Any], dims: Dims, axes: Dims) -> NDArray[Any]:
    """An array with the axes ``dims``, in their order, as one with every axis in the order of ``axes``."""
    order = sorted(range(len(dims)), key=lambda place: axes.index(dims[place]))
    sizes = dict(zip(dims, array.shape, strict=True))
    return array.transpose(order).reshape([sizes.get(axis, 1) for axis in axes])


def taken_out(array: NDArray[Any], dims: Dims, axes: Dims, sizes: Sizes) -> NDArray[Any]:
    """The array with the axes ``dims`` in their order, repeated along those in which it is only 1 long."""
    whole = np.broadcast_to(array, [sizes[axis] if axis in dims else 1 for axis in axes])
    found = [axis for axis in axes if axis in dims]
    return whole.reshape([sizes[axis] for axis in found]).transpose([found.index(axis) for axis in dims])


def sizes_of(dims: Mapping[str, Dims], arrays: Mapping[str, NDArray[Any]]) -> Sizes:
    """How long each axis is, from arrays by name with the axes ``dims``."""
    return {axis: size for name, array in arrays.items() for axis, size in zip(dims[name], array.shape, strict=True)}


def numbered(dims: Dims, sizes: Sizes, axes: Dims) -> NDArray[np.float64]:
    """The numbers 0, 1, 2, … along an axis, laid out."""
    (axis,) = dims
    return laid_out(np.arange(sizes[axis], dtype=np.float64), dims, axes)


def placed(rule: Callable[..., Result], node: Node, axes: Dims) -> Callable[..., Result]:
    """The rule of a node's operation; one along an axis takes the place of that axis as ``axis``."""
    return functools.partial(rule, axis=axes.index(str(node.payload))) if node.op in AXIAL else rule
