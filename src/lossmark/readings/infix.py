"""The infix reading: a tree as the formula language writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Context
from enum import IntEnum
from fractions import Fraction
from typing import NamedTuple

from ..formula.defined import OVER, OWN
from ..formula.operations import OPERATIONS
from ..formula.tree import PLACE, Node, some_of, spelled_out

_OPERAND = re.compile(r"\b(condition|label|x|y|A)\b")
_EXACT = Context(prec=40)
"""As many digits as a number of a formula may have."""


class Binding(IntEnum):
    """How tightly a text binds: an operand that binds looser than its place asks for stands in parentheses."""

    AND = 1
    NOT = 2
    COMPARISON = 3
    SUM = 4
    PRODUCT = 5
    SIGN = 6
    POWER = 7
    WHOLE = 8


class Binds(NamedTuple):
    """How tightly an operation binds, and how tightly each of its operands has to."""

    itself: Binding
    operands: tuple[Binding, ...]


_SUM = Binds(Binding.SUM, (Binding.SUM, Binding.PRODUCT))
_PRODUCT = Binds(Binding.PRODUCT, (Binding.PRODUCT, Binding.SIGN))
_CALL_1, _CALL_2 = (Binds(Binding.WHOLE, (Binding.SUM,) * operands) for operands in (1, 2))

RULES: Mapping[str, Binds] = {
    "add": _SUM, "sub": _SUM, "mul": _PRODUCT, "div": _PRODUCT,
    "neg": Binds(Binding.SIGN, (Binding.SIGN,)), "square": Binds(Binding.POWER, (Binding.WHOLE,)),
    "max": _CALL_2, "min": _CALL_2, "relu": _CALL_1, "exp": _CALL_1, "log": _CALL_1, "log1p": _CALL_1, "xlogy": _CALL_2,
    "expm1": _CALL_1, "sqrt": _CALL_1, "abs": _CALL_1, "softplus": _CALL_1, "sigmoid": _CALL_1,
    "tanh": _CALL_1, "logcosh": _CALL_1, "log1mexp": _CALL_1, "power": _CALL_2, "logaddexp": _CALL_2, "swap": _CALL_1,
    "equal": Binds(Binding.COMPARISON, (Binding.SUM, Binding.SUM)), "not": Binds(Binding.NOT, (Binding.NOT,)),
    "both": Binds(Binding.AND, (Binding.AND, Binding.NOT)),
    "where": Binds(Binding.WHOLE, (Binding.AND, Binding.SUM, Binding.SUM)),
    "sum": _CALL_1, "mean": _CALL_1, "largest": _CALL_1, "lse": _CALL_1, "softmax": _CALL_1, "detach": _CALL_1,
    "joint_lse": _CALL_2,
    "any": Binds(Binding.WHOLE, (Binding.AND,)), "only": Binds(Binding.WHOLE, (Binding.AND, Binding.SUM)),
    "pick": Binds(Binding.WHOLE, (Binding.SUM, Binding.WHOLE)), "dot": _CALL_2, "sqnorm": _CALL_1, "norm": _CALL_1,
}  # fmt: skip
"""How each operation that a formula can write binds; its row in ``OPERATIONS`` says how it is written."""


def infix(node: Node, names: Mapping[Node, str], *, grouped: bool = False) -> str:
    """The formula below a node, with the nodes inside it that have a name called by that name.

    Parentheses stand where the language needs them, or where ``grouped`` around every operator inside the formula.
    Raises KeyError for operations that occur only in derivatives.
    """
    if not node.args:
        payload = node.payload
        return _number(payload) if isinstance(payload, Fraction) else str(payload).removeprefix(PLACE)
    node = spelled_out(node)
    if node.op == "pick" and node.args[1].op == "place":
        return f"{OWN}({_operand(node.args[0], Binding.SUM, names, grouped)})"
    if node.op == "swap" and not node.args[0].args:
        return f"{OVER}({_operand(node.args[0], Binding.SUM, names, grouped)}, {node.payload})"
    if some := some_of(node):
        x, condition = (_operand(part, Binding.AND, names, grouped) for part in some)
        return f"lse({x}, {node.payload}, {condition})"
    if node.op == "only":
        condition, x = (_operand(part, Binding.AND, names, grouped) for part in node.args)
        return f"only({x}, {condition})"
    operands = iter(
        _operand(arg, Binding.WHOLE if grouped else binding, names, grouped)
        for arg, binding in zip(node.args, RULES[node.op].operands, strict=True)
    )
    return _OPERAND.sub(
        lambda found: str(node.payload) if found.group() == "A" else next(operands), OPERATIONS[node.op].written
    )


def _number(value: Fraction) -> str:
    return f"{_EXACT.divide(value.numerator, value.denominator):g}"


def _operand(node: Node, binding: Binding, names: Mapping[Node, str], grouped: bool) -> str:
    if node in names:
        return names[node]
    node = spelled_out(node)
    text = infix(node, names, grouped=grouped)
    return f"({text})" if node.args and RULES[node.op].itself < binding else text
