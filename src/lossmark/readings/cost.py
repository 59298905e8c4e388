"""The cost reading: the least that a machine must do for a formula, from its tree.

Bytes are those of inputs read once and results written once; temporaries cost nothing here, because a fused
implementation needs none. Operations are counted per component, sums over D as D - 1 additions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..dtypes import DType
from ..formula.gradients import Gradients
from ..formula.tree import Node, topological

TRANSCENDENTAL: Mapping[str, int] = {
    "exp": 1, "expm1": 1, "log": 1, "log1p": 1, "softplus": 2, "sigmoid": 1,
}  # fmt: skip
"""Calls of exp or log that an operation needs."""

FLOPS: Mapping[str, tuple[int, int]] = {
    "add": (1, 0), "sub": (1, 0), "mul": (1, 0), "div": (1, 0), "neg": (0, 0), "square": (1, 0), "max": (1, 0),
    "min": (1, 0), "relu": (1, 0), "abs": (0, 0), "sqrt": (1, 0), "where": (0, 0), "softplus": (2, 0),
    "sigmoid": (2, 0),
    "exp": (0, 0), "expm1": (0, 0), "log": (0, 0), "log1p": (0, 0), "step": (1, 0), "sign": (1, 0), "unit": (1, 0),
    "radial": (1, 0), "spread": (0, 0), "fork": (1, 0), "either": (0, 0), "sum": (0, 1),
    "dot": (1, 1), "sqnorm": (1, 1),
    "norm": (1, 1),
}  # fmt: skip
"""Arithmetic per component of the operands, and additions per component of a sum over D."""


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
    read = sum(batch * (width if item.vector else 1) for item in gradients.formula.inputs)
    flops = transcendental = 0
    for node in topological(roots):
        if not node.args:
            continue
        size = batch * (width if node.vector or any(arg.vector for arg in node.args) else 1)
        each, summed = FLOPS[node.op]
        operands = len(node.args) - 1 if node.op == "fork" else 1
        flops += size * each * operands + (size - batch) * summed
        transcendental += size * TRANSCENDENTAL.get(node.op, 0)
    return Cost((passes * read + results + batch) * dtype.numpy.itemsize, flops, transcendental)
