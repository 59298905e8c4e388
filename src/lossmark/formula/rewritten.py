"""A formula with another guard, an epsilon or a clip: what libraries compute under the name of the same loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from .derivative import gradients
from .gradients import Gradients
from .tree import Builder, Node, topological

GuardRule = Callable[[Builder, Node, Node, Fraction], list[Node]]

ClipRange = tuple[float, float]


def _per_norm(build: Builder, dot: Node, lengths: Node, eps: Fraction) -> list[Node]:
    (x, y), (a, b) = dot.args, (build("max", length, build.const(eps)) for length in lengths.args)
    return [build("div", dot, build("mul", a, b)), build("dot", build("div", x, a), build("div", y, b))]


def _product(build: Builder, dot: Node, lengths: Node, eps: Fraction) -> list[Node]:
    return [build("div", dot, build("max", lengths, build.const(eps)))]


def _added(build: Builder, dot: Node, lengths: Node, eps: Fraction) -> list[Node]:
    return [build("div", dot, build("add", lengths, build.const(eps)))]


GUARDS: Mapping[str, GuardRule] = {"per norm": _per_norm, "product": _product, "added": _added}
"""Guards of a cosine: each norm at least ε, their product at least ε, ε added to their product.

A rule gives the equal evaluations of the cosine: with a guard on each norm the vectors may be divided first.
"""

EPSILONS: Mapping[str, Callable[[Builder, Node, Fraction], Node]] = {
    "difference": lambda build, x, eps: build("norm", build("add", x, build.const(eps))),
    "root": lambda build, x, eps: build("sqrt", build("add", build("sqnorm", x), build.const(eps))),
}
"""Epsilons of a norm ‖x‖: ‖x + ε‖, added to each component, and √(‖x‖² + ε)."""


def rewritten(
    known: Gradients, guard: Mapping[str, float], epsilon: Mapping[str, float], clip: Mapping[str, ClipRange]
) -> Gradients:
    """The formula with its gradients, changed.

    ``guard`` maps a key of :data:`GUARDS`, ``epsilon`` one of :data:`EPSILONS` to its ε; ``clip`` maps a term that the
    spec defines, or an input, to the range that it is clipped to.
    """
    formula = known.formula
    build = Builder(formula.axes)
    clipped = {node: clip[name] for name, node in formula.named if name in clip}
    divisor = () if formula.divisor is None else (formula.divisor,)
    order = topological([*formula.evaluations, *(node for _, node in formula.named), *divisor])
    evaluations: dict[Node, None] = {}
    new: dict[Node, Node] = {}
    for choice in (0, 1):  # of the evaluations of a guarded cosine
        new = {}
        for node in order:
            args = [new[arg] for arg in node.args]
            new[node] = _clipped(build, _changed(build, node, args, guard, epsilon, choice), clipped.get(node))
        evaluations |= dict.fromkeys(new[node] for node in formula.evaluations)
    loss, *associations = evaluations
    leaves = {str(leaf.payload): leaf for leaf in topological(evaluations) if leaf.op == "input"}
    changed = replace(
        formula,
        loss=loss,
        associations=tuple(associations),
        named=tuple((name, new[node]) for name, node in formula.named),
        divisor=None if formula.divisor is None else new[formula.divisor],
    )
    wrt = {name: leaves[name] for name in formula.gradient_of}
    return Gradients(changed, tuple(gradients(build, changed.evaluations, wrt)))


def _changed(
    build: Builder,
    node: Node,
    args: list[Node],
    guard: Mapping[str, float],
    epsilon: Mapping[str, float],
    choice: int,
) -> Node:
    """The node on its new operands, or what stands in its place."""
    if node.op == "div" and node.args[0].op == "dot" and node.args[1].op == "max":
        for kind, eps in guard.items():
            found = GUARDS[kind](build, args[0], args[1].args[0], Fraction(eps))
            return found[min(choice, len(found) - 1)]
    if node.op == "norm":
        for kind, eps in epsilon.items():
            return EPSILONS[kind](build, args[0], Fraction(eps))
    return build(node.op, *args, payload=node.payload, dims=node.dims)


def _clipped(build: Builder, node: Node, bounds: ClipRange | None) -> Node:
    """min(max(x, low), high), without a bound that is infinite."""
    low, high = bounds or (-math.inf, math.inf)
    if low > -math.inf:
        node = build("max", node, build.const(Fraction(low)))
    return build("min", node, build.const(Fraction(high))) if high < math.inf else node
