"""Reverse-mode differentiation: from a formula's tree to the trees of its gradients.

The derivative is again a tree of the same kind, so every reading (exact, bound, cost) reads gradients with the rules
it already has. Contributions that meet at a fork are summed by one n-ary ``fork`` node, because a reverse pass rounds
each contribution before they cancel and the bound must see them apart.

Conventions of the design's edge table that are built in here: the slope of ``max`` at a tie is the node ``step``,
whose value there a reading chooses (any member of the Clarke subdifferential); the gradient of ‖x‖ at x = 0 is 0
(``unit``); and ‖x‖² is differentiated as x + x (``radial``, twice), never through a division by the norm.

Source: Griewank & Walther, Evaluating Derivatives, 2nd ed., chapter 3.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from fractions import Fraction

from .tree import REDUCTIONS, Builder, Node, topological

Contribution = tuple[Node, Node]
Rule = Callable[[Builder, Node, Node], Iterator[Contribution]]
"""``rule(build, node, adjoint)`` yields (operand, its contribution)."""


def _add(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], g
    yield node.args[1], g


def _sub(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], g
    yield node.args[1], build("neg", g)


def _neg(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], build("neg", g)


def _mul(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, y = node.args
    yield x, build("mul", g, y)
    yield y, build("mul", g, x)


def _div(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, y = node.args
    yield x, build("div", g, y)
    yield y, build("neg", build("div", build("mul", g, node), y))


def _square(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    (x,) = node.args
    if x.op == "norm":
        yield from _halves(x.args[0], build("radial", g, x.args[0]))
    else:
        yield from _halves(x, build("mul", g, x))


def _halves(operand: Node, half: Node) -> Iterator[Contribution]:
    """x·x hands its gradient back in two halves, which other contributions may come between."""
    yield operand, half
    yield operand, half


def _max(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, y = node.args
    slope = build("step", x, y)
    yield x, build("mul", g, slope)
    yield y, build("mul", g, build("sub", build.const(1), slope))


def _min(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, y = node.args
    slope = build("step", y, x)
    yield x, build("mul", g, slope)
    yield y, build("mul", g, build("sub", build.const(1), slope))


def _relu(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    (x,) = node.args
    yield x, build("mul", g, build("step", x, build.const(0)))


def _abs(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], build("mul", g, build("sign", node.args[0]))


def _where(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    label, value, x, y = node.args
    zero = build.const(0)
    yield x, build("where", label, value, g, zero)
    yield y, build("where", label, value, zero, g)


def _slope(slope: Callable[[Builder, Node], Node]) -> Rule:
    """The rule of a function of one operand whose slope is a formula of the operand and the result."""

    def rule(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
        yield node.args[0], build("mul", g, slope(build, node))

    return rule


def _over(denominator: Callable[[Builder, Node], Node]) -> Rule:
    def rule(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
        yield node.args[0], build("div", g, denominator(build, node))

    return rule


def _sum(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], build("spread", g, vector=True)


def _sqnorm(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    (x,) = node.args
    yield from _halves(x, build("mul", g, x))


def _norm(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    (x,) = node.args
    yield x, build("mul", g, build("unit", x, node))


# -- derivatives of derivatives: a gradient's tree is differentiated as a formula's is -----------------------------


def _flat(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    """A slope of a piecewise linear function: constant but at the kink, where nothing is asked."""
    yield from ()


def _unit(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, length = node.args
    yield x, build("div", g, length)
    yield length, build("neg", build("div", build("dot", g, node), length))


def _spread(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], g


def _fork(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    for arg in node.args:
        yield arg, g


def _either(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], g


LINEAR = frozenset({"add", "sub", "neg", "max", "min", "relu", "abs", "where", "sum", "spread", "fork"})
"""Operations whose adjoint is passed on without rounding: contributions stay apart until the next that rounds.

An implementation may compute such an operation anew for each of its uses, and so add contributions in any order.
"""

RULES: Mapping[str, Rule] = {
    "add": _add, "sub": _sub, "neg": _neg, "mul": _mul, "div": _div, "square": _square,
    "max": _max, "min": _min, "relu": _relu, "abs": _abs, "where": _where,
    "sum": _sum, "dot": _mul, "sqnorm": _sqnorm, "norm": _norm,
    "exp": _slope(lambda build, node: node),
    "expm1": _slope(lambda build, node: build("exp", node.args[0])),
    "softplus": _slope(lambda build, node: build("sigmoid", node.args[0])),
    "sigmoid": _slope(lambda build, node: build("mul", node, build("sub", build.const(1), node))),
    "log": _over(lambda build, node: node.args[0]),
    "log1p": _over(lambda build, node: build("add", build.const(1), node.args[0])),
    "sqrt": _over(lambda build, node: build("mul", build.const(2), node)),
    "step": _flat, "sign": _flat, "unit": _unit, "radial": _mul, "spread": _spread, "fork": _fork, "either": _either,
}  # fmt: skip


def gradients(build: Builder, evaluations: Sequence[Node], wrt: Mapping[str, Node]) -> list[dict[str, Node]]:
    """The gradient of ``seed · loss`` by each input in ``wrt`` (name → input node), for equal evaluations of a loss.

    ``seed`` is the cotangent of the example's loss, a scalar that a reading chooses: 1 for the sum over the batch,
    1/B for the mean, the caller's weight under ``reduction="none"``. Each result maps a name to a tree, ``[B, D]`` or
    ``[B]``. Evaluations that differ only in scalars, after the same reductions over D, share one result: where their
    adjoints reach such a reduction an ``either`` node joins them, so that vectors are differentiated once.
    """
    groups: dict[frozenset[Node], list[Node]] = {}
    for loss in evaluations:
        groups.setdefault(frozenset(node for node in topological([loss]) if node.op in REDUCTIONS), []).append(loss)
    return [_gradient(build, group, wrt) for group in groups.values()]


def curvature(build: Builder, first: Mapping[str, Node], wrt: Mapping[str, Node], along: str) -> dict[str, Node]:
    """The gradient by each input in ``wrt`` of the scalar ⟨``first``, directions⟩, for trees ``first`` of a gradient.

    The direction of an input is an input node of its own, named as it with ``along`` before it.
    """
    parts = []
    for name, slope in first.items():
        direction = build("input", payload=along + name, vector=wrt[name].vector)
        parts.append(build("dot" if wrt[name].vector else "mul", slope, direction))
    total = functools.reduce(lambda x, y: build("add", x, y), parts)
    found = _reverse(build, {total: build.const(1)}, wrt, until={})
    return {name: found.get(node, build.const(0)) for name, node in wrt.items()}


def _gradient(build: Builder, losses: Sequence[Node], wrt: Mapping[str, Node]) -> dict[str, Node]:
    """Reverse passes over the scalars of each evaluation, then one over what they share."""
    pending: dict[Node, list[Node]] = {}
    for loss in losses:
        found = _reverse(build, {loss: build("seed", payload="seed")}, wrt, until=REDUCTIONS if len(losses) > 1 else {})
        for node, adjoint in found.items():
            pending.setdefault(node, []).append(adjoint)
    adjoints = {node: _one_of(build, parts) for node, parts in pending.items()}
    found = _reverse(build, adjoints, wrt, until={})
    zero = build.const(Fraction(0))
    return {name: found.get(node, zero) for name, node in wrt.items()}


def _one_of(build: Builder, parts: list[Node]) -> Node:
    distinct = list(dict.fromkeys(parts))
    return distinct[0] if len(distinct) == 1 else build("either", *distinct)


def _reverse(
    build: Builder, adjoints: Mapping[Node, Node], wrt: Mapping[str, Node], until: Container[str]
) -> dict[Node, Node]:
    """Adjoints of the inputs, and of the operations named in ``until``, where the pass stops."""
    order = topological(adjoints)
    reached = set(wrt.values())
    for node in order:
        if any(arg in reached for arg in node.args):
            reached.add(node)
    contributions = {node: [adjoint] for node, adjoint in adjoints.items()}
    stops: dict[Node, Node] = {}
    for node in reversed(order):
        if node not in reached or node not in contributions:
            continue
        if not node.args or (node.op in until):
            stops[node] = _meet(build, contributions[node])
            continue
        parts = contributions[node] if node.op in LINEAR else [_meet(build, contributions[node])]
        for adjoint in parts:
            for operand, contribution in RULES[node.op](build, node, adjoint):
                if operand in reached:
                    contributions.setdefault(operand, []).append(_fit(build, contribution, operand))
    return stops


def _meet(build: Builder, contributions: list[Node]) -> Node:
    """The sum of contributions; two equal halves are an exact doubling."""
    first, *rest = contributions
    if not rest:
        return first
    return build("mul", build.const(2), first) if rest == [first] else build("fork", *contributions)


def _fit(build: Builder, contribution: Node, operand: Node) -> Node:
    """A scalar that was broadcast over D collects its adjoint by a sum over D."""
    if contribution.vector and not operand.vector:
        return build("sum", contribution)
    return contribution
