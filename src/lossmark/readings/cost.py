"""The cost reading: the least that a machine must do for a formula, from its tree.

Bytes are those of inputs read once and results written once; temporaries cost nothing here, because a fused
implementation needs none. Operations are counted per component, sums over D as D - 1 additions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..dtypes import DType
from ..formula.gradients import Gradients
from ..formula.operations import OPERATIONS
from ..formula.tree import Node, topological


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
    "max": _FLOP, "min": _FLOP, "relu": _FLOP, "abs": _FREE, "where": _FREE,
    "exp": _CALL, "expm1": _CALL, "log": _CALL, "log1p": _CALL,
    "softplus": PerComponent(flops=2, transcendental=2), "sigmoid": PerComponent(flops=2, transcendental=1),
    "sum": PerComponent(summed=1), "dot": PerComponent(flops=1, summed=1), "sqnorm": PerComponent(flops=1, summed=1),
    "norm": PerComponent(flops=1, summed=1),
    "step": _FLOP, "sign": _FLOP, "unit": _FLOP, "radial": _FLOP, "spread": _FREE, "fork": _FLOP, "either": _FREE,
}  # fmt: skip
"""The work of each operation."""


@dataclass(frozen=True)
class Cost:
    """What one call must at least do: bytes of memory traffic, floating-point operations, exp and log calls."""

    bytes: int
    flops: int
    transcendental: int


def forward(gradients: Gradients, batch: int, width: int, dtype: DType) -> Cost:
    """The cost of the per-example losses of ``batch`` examples of ``width`` dimensions."""
    return _cost(gradients, [gradients.formula.loss], batch, width, dtype, passes=1, results=0)


def forward_backward(gradients: Gradients, batch: int, width: int, dtype: DType) -> Cost:
    """The cost of loss and gradient, the inputs read twice (a separate backward pass cannot do better)."""
    formula = gradients.formula
    roots = [formula.loss, *gradients.trees[0].values()]
    written = sum(batch * (width if item.vector else 1) for item in formula.inputs if item.name in formula.gradient_of)
    return _cost(gradients, roots, batch, width, dtype, passes=2, results=written)


def _cost(
    gradients: Gradients, roots: list[Node], batch: int, width: int, dtype: DType, *, passes: int, results: int
) -> Cost:
    """The cost of ``roots``, with inputs read ``passes`` times and ``results`` numbers written beside the losses."""
    read = sum(batch * (width if item.vector else 1) for item in gradients.formula.inputs)
    flops = transcendental = 0
    for node in topological(roots):
        if not node.args:
            continue
        size = batch * (width if node.vector or any(arg.vector for arg in node.args) else 1)
        work = RULES[node.op]
        times = len(node.args) - 1 if OPERATIONS[node.op].operands is None else 1
        flops += size * work.flops * times + (size - batch) * work.summed
        transcendental += size * work.transcendental
    return Cost((passes * read + results + batch) * dtype.numpy.itemsize, flops, transcendental)
