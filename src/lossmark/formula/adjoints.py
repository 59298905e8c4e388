"""The adjoint rule of every operation: what an operation hands on to its operands in a reverse pass.

Conventions of the design's edge table that are built in here: the slope of ``max`` at a tie is the node ``step``,
whose value there a reading chooses (any member of the Clarke subdifferential); the gradient of ‖x‖ at x = 0 is 0
(``unit``); and ‖x‖² is differentiated as x + x (``radial``, twice), never through a division by the norm.

Source: Griewank & Walther, Evaluating Derivatives, 2nd ed., chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .tree import Builder, Node

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


def _xlogy(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, y = node.args
    yield x, build("mul", g, build("log", y))
    yield y, build("mul", g, build("xdivy", x, y))


def _square(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    (x,) = node.args
    if x.op == "norm":
        yield from _halves(x.args[0], build("radial", g, x.args[0], x))
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
    condition, x, y = node.args
    zero = build.const(0)
    yield x, build("where", condition, g, zero)
    yield y, build("where", condition, zero, g)


def _only(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    condition, x = node.args
    yield x, build("where", condition, g, build.const(0))


def _swap(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], build("swap", g, payload=node.payload)


def _power(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, y = node.args
    yield x, build("mul", g, build("power_slope", x, y))


def _logaddexp(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, y = node.args
    yield x, build("mul", g, build("sigmoid", build("sub", x, y)))
    yield y, build("mul", g, build("sigmoid", build("sub", y, x)))


def _slope(slope: Callable[[Builder, Node], Node]) -> Rule:
    """The rule of a function of one operand whose slope is a formula of the operand and the result."""

    def rule(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
        yield node.args[0], build("mul", g, slope(build, node))

    return rule


def _over(denominator: Callable[[Builder, Node], Node]) -> Rule:
    """The same where the slope is 1 over a formula: the adjoint is divided, which rounds once."""

    def rule(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
        yield node.args[0], build("div", g, denominator(build, node))

    return rule


def _sum(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], build("spread", g, dims=node.args[0].dims)


def _mean(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    (x,) = node.args
    share = build("div", build.const(1), build("count", x, payload=node.payload))  # two roundings, as forwards
    yield x, build("spread", build("mul", g, share), dims=x.dims)


def _sqnorm(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    (x,) = node.args
    yield from _halves(x, build("mul", g, x))


def _norm(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    (x,) = node.args
    yield x, build("mul", g, build("unit", x, node))


def _lse(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    (x,) = node.args
    yield x, build("mul", g, build("softmax", x, payload=node.payload))


def _softmax(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    mean = build("sum", build("mul", g, node), payload=node.payload)
    yield node.args[0], build("mul", node, build("sub", g, mean))


def _joint_lse(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    """Where both are taken relative to an entry of the first, their shares add up to 1, and the entry gets the rest."""
    x, y = node.args
    by_x = build("mul", g, build("joint_softmax", x, y, payload=node.payload))
    by_y = build("mul", g, build("joint_softmax", y, x, payload=node.payload))
    inner = y.args[1] if y.op == "only" else y
    if x.op != "gap" or inner.op != "sub" or inner.args[1] is not build("pick", *x.args, payload=x.payload):
        yield x, by_x
        yield y, by_y
        return
    entries, label = x.args
    yield entries, by_x
    rest = build("neg", build("whole", x, y, g, payload=node.payload))
    yield entries, build("scatter", rest, label, entries, payload=x.payload)
    yield inner.args[0], by_y if inner is y else build("where", y.args[0], by_y, build.const(0))


def _joint_softmax(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, y = node.args
    mean = build("sum", build("mul", g, node), payload=node.payload)
    yield x, build("mul", node, build("sub", g, mean))
    yield y, build("neg", build("mul", build("joint_softmax", y, x, payload=node.payload), mean))


def _pick(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, label = node.args
    yield x, build("scatter", g, label, x, payload=node.payload)


def _gap(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, label = node.args
    yield x, g
    yield x, build("scatter", build("neg", _total(build, g, str(node.payload))), label, x, payload=node.payload)


def _depth(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], g


def _total(build: Builder, g: Node, axis: str) -> Node:
    """The sum of an adjoint along an axis; of a multiple of probabilities, which add up to 1, the multiple."""
    if g.op == "mul":
        for share, factor in (g.args, g.args[::-1]):
            if share.op == "softmax" and share.payload == axis and axis not in factor.dims:
                return build("whole", *share.args, factor, payload=axis)
    return build("sum", g, payload=axis)


# -- derivatives of derivatives: a gradient's tree is differentiated as a formula's is -----------------------------


def _flat(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    """What is detached, or a slope of a piecewise linear function: constant but at the kink, where nothing is asked."""
    yield from ()


def _unit(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, length = node.args
    yield x, build("div", g, length)
    yield length, build("neg", build("div", build("dot", g, node), length))


def _power_slope(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, y = node.args
    slope = build("power_slope", x, build("sub", y, build.const(1)))
    yield x, build("mul", g, build("mul", y, slope))


def _xdivy(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, y = node.args
    yield x, build("div", g, y)
    yield y, build("neg", build("mul", g, build("xdivy", node, y)))


def _radial(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    outer, x, _ = node.args
    yield outer, build("mul", g, x)
    yield x, build("mul", g, outer)


def _scatter(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    x, label, _ = node.args
    yield x, build("pick", g, label, payload=node.payload)


def _whole(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[-1], g


def _spread(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], g


def _fork(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    for arg in node.args:
        yield arg, g


def _either(build: Builder, node: Node, g: Node) -> Iterator[Contribution]:
    yield node.args[0], g


RULES: Mapping[str, Rule] = {
    "add": _add, "sub": _sub, "neg": _neg, "mul": _mul, "div": _div, "square": _square,
    "xlogy": _xlogy, "xdivy": _xdivy,
    "max": _max, "min": _min, "relu": _relu, "abs": _abs,
    "power": _power, "power_slope": _power_slope, "logaddexp": _logaddexp,
    "where": _where, "only": _only, "swap": _swap, "equal": _flat, "not": _flat, "both": _flat, "any": _flat,
    "joint_lse": _joint_lse, "joint_softmax": _joint_softmax, "depth": _depth, "whole": _whole,
    "largest": _flat, "lse": _lse, "softmax": _softmax, "pick": _pick, "detach": _flat, "scatter": _scatter,
    "gap": _gap, "sum": _sum, "mean": _mean, "count": _flat, "dot": _mul, "sqnorm": _sqnorm, "norm": _norm,
    "exp": _slope(lambda build, node: node),
    "expm1": _slope(lambda build, node: build("exp", node.args[0])),
    "softplus": _slope(lambda build, node: build("sigmoid", node.args[0])),
    "tanh": _slope(lambda build, node: build("sub", build.const(1), build("square", node))),
    "logcosh": _slope(lambda build, node: build("tanh", node.args[0])),
    "sigmoid": _slope(lambda build, node: build("mul", node, build("sub", build.const(1), node))),
    "log": _over(lambda build, node: node.args[0]),
    "log1p": _over(lambda build, node: build("add", build.const(1), node.args[0])),
    "log1mexp": _over(lambda build, node: build("expm1", node.args[0])),
    "sqrt": _over(lambda build, node: build("mul", build.const(2), node)),
    "step": _flat, "sign": _flat, "unit": _unit, "radial": _radial, "spread": _spread, "fork": _fork, "either": _either,
}  # fmt: skip
"""The adjoint rule of each operation."""
