"""Reverse-mode differentiation: from a formula's tree to the trees of its gradients.

The derivative is again a tree of the same kind, so every reading (exact, bound, cost) reads gradients with the rules
it already has. Contributions that meet at a fork are summed by one n-ary ``fork`` node, because a reverse pass rounds
each contribution before they cancel and the bound must see them apart.

The rule of each operation stands in ``adjoints``. Source: Griewank & Walther, Evaluating Derivatives, 2nd ed.,
chapter 3.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Mapping, Sequence
from fractions import Fraction

from .adjoints import RULES
from .operations import OPERATIONS, REDUCING
from .tree import BATCH, Builder, Node, topological


def gradients(build: Builder, evaluations: Sequence[Node], wrt: Mapping[str, Node]) -> list[dict[str, Node]]:
    """The gradient of ``seed · loss`` by each input in ``wrt`` (name → input node), for equal evaluations of a loss.

    ``seed`` is the cotangent of the example's loss, a scalar that a reading chooses: 1 for the sum over the batch,
    1/B for the mean, the caller's weight under ``reduction="none"``. Each result maps a name to a tree, ``[B, D]`` or
    ``[B]``. Evaluations that differ only in scalars, after the same reductions over D, share one result: where their
    adjoints reach such a reduction an ``either`` node joins them, so that vectors are differentiated once.
    """
    groups: dict[frozenset[Node], list[Node]] = {}
    for loss in evaluations:
        groups.setdefault(frozenset(node for node in topological([loss]) if node.op in REDUCING), []).append(loss)
    return [_gradient(build, group, wrt) for group in groups.values()]


def by_hand(build: Builder, loss: Node, wrt: Mapping[str, Node]) -> dict[str, Node]:
    """The gradient of ``seed · loss`` with the cotangent as the last factor, as backward passes by hand often have it.

    That is right only of a loss whose examples do not see each other.
    """
    found = _reverse(build, {loss: build.const(1)}, wrt, until=frozenset())
    seed, zero = build("seed", payload="seed"), build.const(0)
    return {name: build("mul", found[node], seed) if node in found else zero for name, node in wrt.items()}


def curvature(build: Builder, first: Mapping[str, Node], wrt: Mapping[str, Node], along: str) -> dict[str, Node]:
    """The gradient by each input in ``wrt`` of the scalar ⟨``first``, directions⟩, for trees ``first`` of a gradient.

    The direction of an input is an input node of its own, named as it with ``along`` before it. Where examples share
    one of the inputs the scalar is that of the whole batch, else one for each example.
    """
    parts = []
    coupled = any(BATCH not in node.dims for node in wrt.values())
    for name, slope in first.items():
        direction = build("input", payload=along + name, dims=wrt[name].dims)
        *most, last = [axis for axis in direction.dims if coupled or axis != BATCH] or [""]
        part = build("dot", slope, direction, payload=last) if last else build("mul", slope, direction)
        parts.append(functools.reduce(lambda x, axis: build("sum", x, payload=axis), most, part))
    total = functools.reduce(lambda x, y: build("add", x, y), parts)
    found = _reverse(build, {total: build.const(1)}, wrt, until=frozenset())
    return {name: found.get(node, build.const(0)) for name, node in wrt.items()}


def _gradient(build: Builder, losses: Sequence[Node], wrt: Mapping[str, Node]) -> dict[str, Node]:
    """The gradient shared by ``losses``: a reverse pass over the scalars of each, then one over what they share."""
    pending: dict[Node, list[Node]] = {}
    for loss in losses:
        found = _reverse(build, {loss: build("seed", payload="seed")}, wrt, until=REDUCING if len(losses) > 1 else {})
        for node, adjoint in found.items():
            pending.setdefault(node, []).append(adjoint)
    adjoints = {node: _one_of(build, parts) for node, parts in pending.items()}
    found = _reverse(build, adjoints, wrt, until=frozenset())
    zero = build.const(Fraction(0))
    return {name: found.get(node, zero) for name, node in wrt.items()}


def _one_of(build: Builder, parts: list[Node]) -> Node:
    """One node for the adjoints that equal evaluations give: an ``either`` where these are different trees."""
    distinct = list(dict.fromkeys(parts))
    return distinct[0] if len(distinct) == 1 else build("either", *distinct)


def _reverse(
    build: Builder, adjoints: Mapping[Node, Node], wrt: Mapping[str, Node], until: Container[str]
) -> dict[Node, Node]:
    """One reverse pass from given adjoints: the adjoints of the inputs, and of the operations in ``until``.

    The pass stops at the operations in ``until``, and visits only nodes that depend on an input in ``wrt``.
    """
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
        parts = contributions[node] if OPERATIONS[node.op].linear else [_meet(build, contributions[node])]
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
    """What was broadcast along an axis collects its adjoint by a sum over that axis.

    A sum of products of which neither factor has every axis is a product of matrices.
    """
    for axis in contribution.dims:
        if axis in operand.dims:
            continue
        if contribution.op == "mul" and all({*arg.dims} < {*contribution.dims} for arg in contribution.args):
            contribution = build("dot", *contribution.args, payload=axis)
        else:
            contribution = build("sum", contribution, payload=axis)
    return contribution
