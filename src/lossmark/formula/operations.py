"""The operations of the language, one row each: operands, how a formula writes it, what it means, and its traits.

A trait says what the readings must know about an operation beside its rule, so that none of them lists operations by
name. To add an operation, add a row here, the rule of its adjoint (``adjoints.RULES``) and one rule in the table
``RULES`` of each reading; a test names every table that has forgotten it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: ``operands`` is their number, None for one or more."""

    name: str
    operands: int | None
    written: str
    """How a formula writes it; empty for an operation that occurs only in derivatives."""
    meaning: str
    along: bool = False
    """It works along an axis: the one that a formula writes for ``A``, or else the embedding dimension D."""
    reduces: bool = False
    """It takes the axis that it works along away."""
    linear: bool = False
    """Its adjoint is passed on without rounding.

    Contributions to such an operation stay apart until the next operation that rounds, because an implementation may
    compute it anew for each of its uses, and so add contributions in any order.
    """
    multiplies: bool = False
    """It multiplies two different operands: 0·∞ may occur, which is NaN in IEEE arithmetic and 0 in the limit."""
    sums: bool = False
    """It adds up numbers: a partial sum may overflow although the result does not."""
    sums_products: bool = False
    """It adds up products: a product or a partial sum may overflow although the result does not."""
    shifts: bool = False
    """It takes an infinity from itself, which is NaN in IEEE arithmetic and 0 in the limit."""
    inside: bool = False
    """Its result is not rounded to the format before the next operation on numbers: 1 - p would be lost."""
    condition: bool = False
    """It is true or false, 1 or 0, and stands only in the condition of a ``where``."""
    exchanges: bool = False
    """It exchanges the batch and the axis that it works along, which runs over the batch again."""
    sides: tuple[int, int] | None = None
    """The two slopes of a kink between which it chooses, by the sign of (first operand - second operand, or 0)."""

    @property
    def in_formulas(self) -> bool:
        """Whether a formula can write it."""
        return bool(self.written)

    @property
    def is_called(self) -> bool:
        """Whether a formula writes it as a function: ``max(x, y)``, not ``x + y``."""
        return bool(self.function)

    @property
    def function(self) -> str:
        """The name of the function that a formula writes it as; empty for an operator."""
        name, bracket, _ = self.written.partition("(")
        return name if bracket and name.isidentifier() else ""

    @property
    def names_axis(self) -> bool:
        """Whether a formula writes the axis that it works along, as the last argument."""
        return self.written.endswith(", A)")


_ROWS = (
    Operation("add", 2, "x + y", "The sum.", linear=True),
    Operation("sub", 2, "x - y", "The difference.", linear=True),
    Operation("mul", 2, "x * y", "The product.", multiplies=True),
    Operation("div", 2, "x / y", "The quotient."),
    Operation("neg", 1, "-x", "The negative.", linear=True),
    Operation("square", 1, "x**2", "The square."),
    Operation("power", 2, "power(x, y)", "x to the power of a number or a parameter; x is not negative."),
    Operation("max", 2, "max(x, y)", "The larger of two; at a tie its slope by x is any of [0, 1].", linear=True),
    Operation("min", 2, "min(x, y)", "The smaller of two; at a tie its slope by x is any of [0, 1].", linear=True),
    Operation("relu", 1, "relu(x)", "max(x, 0).", linear=True),
    Operation("exp", 1, "exp(x)", "The exponential e^x."),
    Operation("log", 1, "log(x)", "The natural logarithm."),
    Operation("log1p", 1, "log1p(x)", "log(1 + x), as one operation that loses no digits near 0."),
    Operation("expm1", 1, "expm1(x)", "exp(x) - 1, as one operation that loses no digits near 0."),
    Operation("log1mexp", 1, "log1mexp(x)", "log(1 - exp(-x)) of x > 0, as one operation that loses no digits."),
    Operation("xlogy", 2, "xlogy(x, y)", "x*log(y), as one operation that is 0 where x is 0, also at y = 0."),
    Operation("sqrt", 1, "sqrt(x)", "The square root."),
    Operation("tanh", 1, "tanh(x)", "The hyperbolic tangent."),
    Operation("logcosh", 1, "logcosh(x)", "log(cosh(x)), as one operation that neither overflows nor loses digits."),
    Operation("abs", 1, "abs(x)", "The magnitude; at 0 its slope is any of [-1, 1].", linear=True),
    Operation("softplus", 1, "softplus(x)", "log(1 + exp(x)), as one operation that does not overflow."),
    Operation("sigmoid", 1, "sigmoid(x)", "1 / (1 + exp(-x)), as one operation that does not overflow."),
    Operation(
        "logaddexp", 2, "logaddexp(x, y)", "log(exp(x) + exp(y)), as one operation that does not overflow.",
        shifts=True,
    ),
    Operation(
        "equal", 2, "x == y",
        "A condition: a label or a parameter is a number or a parameter; two examples have the same label, "
        "label == over(label, J), or are the same, B == J; an entry along an axis is that at the label, label == C.",
        condition=True,
    ),
    Operation("not", 1, "not x", "A condition: the other is false.", condition=True),
    Operation("both", 2, "x and y", "A condition: both are true.", condition=True),
    Operation(
        "any", 1, "any(condition, A)", "A condition: another is true of some entry along an axis.",
        along=True, reduces=True, condition=True,
    ),
    Operation(
        "where", 3, "where(condition, x, y)",
        "x where the condition is true, else y; the other is not seen, neither its value nor its gradient.",
        linear=True,
    ),
    Operation(
        "only", 2, "only(x, condition)", "x where the condition is true, else -∞, the logarithm of nothing.",
        linear=True,
    ),
    Operation(
        "swap", 1, "swap(x)",
        "x with the batch and the axis that runs over it again exchanged; of an input over(x, J).",
        along=True, linear=True, exchanges=True,
    ),
    Operation("sum", 1, "sum(x, A)", "The sum along an axis.", along=True, reduces=True, linear=True, sums=True),
    Operation("mean", 1, "mean(x, A)", "The arithmetic mean along an axis.", along=True, reduces=True, sums=True),
    Operation(
        "largest", 1, "max(x, A)", "The largest along an axis; where it is detached.",
        along=True, reduces=True, linear=True,
    ),
    Operation(
        "lse", 1, "lse(x, A)",
        "log Σ exp(x) along an axis, as one operation that does not overflow; lse(x, A, condition) of the entries "
        "for which the condition is true.",
        along=True, reduces=True, shifts=True,
    ),
    Operation("softmax", 1, "softmax(x, A)", "exp(x - lse(x, A)), as one operation.", along=True, inside=True),
    Operation(
        "joint_lse", 2, "joint_lse(x, y, A)",
        "log(Σ exp(x) + Σ exp(y)) along an axis, as one operation that does not overflow.",
        along=True, reduces=True, shifts=True,
    ),
    Operation(
        "joint_softmax", 2, "", "exp(x - joint_lse(x, y, A)), as one operation: the slope of joint_lse by x.",
        along=True, inside=True,
    ),
    Operation(
        "pick", 2, "pick(x, label, A)", "The entry at an integer label, 0 where the label is no index.",
        along=True, reduces=True, linear=True,
    ),
    Operation(
        "gap", 2, "", "x less its entry at an integer label along an axis, x - pick(x, label, A): exactly 0 there.",
        along=True, linear=True, shifts=True,
    ),
    Operation(
        "depth", 2, "", "x less the largest of some of its entries, x - detach(max(x, A)): exactly 0 at that.",
        along=True, linear=True, shifts=True,
    ),
    Operation("detach", 1, "detach(x)", "x, which is constant for the gradient.", linear=True),
    Operation(
        "dot", 2, "dot(x, y)", "The inner product of two vectors.",
        along=True, reduces=True, multiplies=True, sums_products=True,
    ),
    Operation("sqnorm", 1, "sqnorm(x)", "The squared Euclidean length.", along=True, reduces=True, sums_products=True),
    Operation(
        "norm", 1, "norm(x)", "The Euclidean length, as one operation that does not overflow.",
        along=True, reduces=True,
    ),
    Operation("step", 2, "", "The slope of max(x, y) by x: 1 where x > y, 0 where x < y.", sides=(0, 1)),
    Operation("sign", 1, "", "The slope of abs(x): 1 where x > 0, -1 where x < 0.", sides=(-1, 1)),
    Operation("power_slope", 2, "", "y * x**(y - 1), and 0 where y is 0: the slope of power(x, y)."),
    Operation("xdivy", 2, "", "x / y, and 0 where x is 0: the slope of xlogy(x, y) by y."),
    Operation("unit", 2, "", "x / ‖x‖ from a vector and its length: the gradient of the length, 0 where that is 0."),
    Operation("radial", 3, "", "The adjoint of ‖x‖² times x, which implementations take via x / ‖x‖.", multiplies=True),
    Operation(
        "scatter", 3, "", "x at the place of an integer label along an axis of a third operand, else 0: for pick.",
        along=True, linear=True,
    ),
    Operation(
        "whole", None, "",
        "A factor, the last operand, as the sum of its products with softmax of the others along an axis.",
        along=True, reduces=True, linear=True,
    ),
    Operation("count", 1, "", "How many numbers there are along an axis.", along=True, reduces=True, linear=True),
    Operation("spread", 1, "", "A scalar as a vector of equal components: the adjoint of a sum.", linear=True),
    Operation("fork", None, "", "The sum, in any order, of the contributions that meet at a fork.", linear=True),
    Operation("either", None, "", "Equal numbers computed in different ways; the first stands for all."),
)  # fmt: skip

OPERATIONS: Mapping[str, Operation] = {row.name: row for row in _ROWS}
"""Every operation by its name, which is the ``op`` of a node that has operands."""

REDUCING = frozenset(row.name for row in _ROWS if row.reduces)
"""Operations that take an axis away."""
EXCHANGING = frozenset(row.name for row in _ROWS if row.exchanges)
"""Operations that exchange the batch and another axis."""
AXIAL = frozenset(row.name for row in _ROWS if row.along)
"""Operations that work along an axis."""
FUNCTIONS: Mapping[tuple[str, bool], Operation] = {(row.function, row.names_axis): row for row in _ROWS if row.function}
"""The operations that a formula calls, by the name of the function and whether an axis is its last argument."""
