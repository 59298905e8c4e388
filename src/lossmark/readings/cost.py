"""The cost reading: the least that a machine must do for a formula, from its tree.

Bytes are those of inputs read once and results written once; temporaries cost nothing here, because a fused
implementation needs none. Operations are counted per component, sums over D as D - 1 additions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..dtypes import DType
from ..formula.gradients import Gradients
from ..formula.operations import OPERATIONS
from ..formula.tree import BATCH, Dims, Node, Sizes, shape_of, topological


@dataclass(frozen=True)
class PerComponent:
    """What an operation does at least: flops and calls of exp or log per component of its operands.

    ``summed`` are additions for every component but one, those of a sum over D. An operation on any number of
    operands counts its flops for each of them but one.
    """

    flops: int = 0
    transcendental: int = 0
    summed: int = 0


_FREE, _FLOP, _CALL = PerComponent(), PerComponent(flops=1), PerComponent(transcendental=1)

RULES: Mapping[str, PerComponent] = {
    "add": _FLOP, "sub": _FLOP, "mul": _FLOP, "div": _FLOP, "neg": _FREE, "square": _FLOP, "sqrt": _FLOP,
    "max": _FLOP, "min": _FLOP, "relu": _FLOP, "abs": _FREE,
    "where": _FREE, "only": _FREE, "equal": _FREE, "not": _FREE, "both": _FREE, "any": _FREE, "swap": _FREE,
    "exp": _CALL, "expm1": _CALL, "log": _CALL, "log1p": _CALL, "log1mexp": PerComponent(transcendental=2),
    "tanh": _CALL, "power": _FLOP, "power_slope": _FLOP,
    "logcosh": PerComponent(flops=2, transcendental=2), "logaddexp": PerComponent(flops=2, transcendental=2),
    "xlogy": PerComponent(flops=1, transcendental=1), "xdivy": _FLOP,
    "softplus": PerComponent(flops=2, transcendental=2), "sigmoid": PerComponent(flops=2, transcendental=1),
    "sum": PerComponent(summed=1), "mean": PerComponent(summed=1), "count": _FREE,
    "dot": PerComponent(flops=1, summed=1), "sqnorm": PerComponent(flops=1, summed=1),
    "norm": PerComponent(flops=1, summed=1), "largest": PerComponent(summed=1), "detach": _FREE,
    "lse": PerComponent(flops=1, transcendental=1, summed=1), "softmax": PerComponent(flops=2, transcendental=1),
    "joint_lse": PerComponent(flops=2, transcendental=2, summed=2),
    "joint_softmax": PerComponent(flops=2, transcendental=1),
    "pick": _FREE, "scatter": _FREE, "gap": _FLOP, "depth": PerComponent(flops=1, summed=1), "whole": _FREE,
    "step": _FLOP, "sign": _FLOP, "unit": _FLOP, "radial": _FLOP, "spread": _FREE, "fork": _FLOP, "either": _FREE,
}  # fmt: skip
"""The work of each operation."""


@dataclass(frozen=True)
class Cost:
    """What one call must at least do: bytes of memory traffic, floating-point operations, exp and log calls."""

    bytes: int
    flops: int
    transcendental: int


def forward(gradients: Gradients, sizes: Sizes, dtype: DType) -> Cost:
    """The cost of the per-example losses of a batch."""
    return _cost(gradients, [gradients.formula.loss], sizes, dtype, passes=1, results=0)


def forward_backward(gradients: Gradients, sizes: Sizes, dtype: DType) -> Cost:
    """The cost of loss and gradient, the inputs read twice (a separate backward pass cannot do better)."""
    formula = gradients.formula
    roots = [formula.loss, *gradients.trees[0].values()]
    written = _numbers((item.dims for item in formula.inputs if item.name in formula.gradient_of), sizes)
    return _cost(gradients, roots, sizes, dtype, passes=2, results=written)


def _cost(gradients: Gradients, roots: list[Node], sizes: Sizes, dtype: DType, *, passes: int, results: int) -> Cost:
    """The cost of ``roots``, with inputs read ``passes`` times and ``results`` numbers written beside the losses."""
    read = _numbers((item.dims for item in gradients.formula.inputs), sizes)
    flops = transcendental = 0
    for node in topological(roots):
        if not node.args:
            continue
        size = _numbers([tuple({*node.dims, *(axis for arg in node.args for axis in arg.dims)})], sizes)
        work = RULES[node.op]
        times = len(node.args) - 1 if OPERATIONS[node.op].operands is None else 1
        flops += size * work.flops * times + (size - _numbers([node.dims], sizes)) * work.summed
        transcendental += size * work.transcendental
    losses = sizes[BATCH]
    return Cost((passes * read + results + losses) * dtype.numpy.itemsize, flops, transcendental)


def _numbers(arrays: Iterable[Dims], sizes: Sizes) -> int:
    """How many numbers arrays with these axes hold together."""
    return sum(math.prod(shape_of(dims, sizes)) for dims in arrays)
