"""The page of the formula language, from the rows of its operations."""

from lossmark.formula.defined import DEFINED, OWN, PAIRS
from lossmark.formula.grammar import MAX_DEPTH, MAX_LENGTH, MAX_NODES
from lossmark.formula.operations import OPERATIONS, Operation
from lossmark.readings.arithmetic import ULPS

from .markdown import code, escaped, table

HEAD = f"""# Formula language

A formula speaks of one example of a batch. It is parsed by Python's parser and checked node by node against a white
list; nothing of it is run by Python. Allowed are decimal numbers, names of inputs, parameters and terms of `where`,
parentheses and the operations below.

- Parentheses are normative: they fix the order of operations that the tolerance assumes.
- A constant is the decimal as written: `1e-8` is 10⁻⁸, not the nearest float64.
- An input of shape `[B, D]` is a vector, an input of shape `[B]` is a number. Every axis has a capital letter, and
  operands align by these names.
- Where a function is written with the axis `A`, a formula names the axis that it works along.
- An axis that a spec declares to run over the batch again, `axes: {{J: B}}`, makes pairs: of a `query` `[B, D]` and a
  `key` `[J, D]` the `dot` is `[B, J]`. `own(x)`, `swap(x)`, `over(x, J)` and the condition `B == J` speak of pairs.
- A condition compares a label or a parameter with a number or a parameter, or the labels of two examples. It stands in
  a `where`, in `only`, or as the last argument of `lse(x, A, condition)`. What it leaves out reaches neither value nor
  gradient, NaN included. A term of `where` may be a condition, and is then called by its name.
- What is taken from itself is exactly 0 there: `x - pick(x, label, A)` at the label, `x - own(x)` at the pair with
  itself, and `x - detach(max(x, A))` at the largest, also of `only(x, condition)`.
- Where an integer label has a value that marks rows as ignored, the loss of such a row is 0, and so is the entry that
  `pick` takes by it.
- An input without an axis, `scale: {{dims: [], kind: number, …}}`, is one number that all examples share, such as a
  learned temperature: `scale*logits`. Its gradient is summed over the batch, and over every axis that it was multiplied
  along. Those terms may be added in any order.
- A mask, `mask: {{dims: [B, N], label: mask, …}}`, is 1 where something counts: `lse(x, N, mask == 1)`,
  `where(mask == 1, x, 0)`. Where it is 0 every input with its axes may hold anything, NaN too, and reaches neither
  value nor gradient. A formula that looks at such an entry is refused.
- An input has three axes at most: of a `query` `[B, D]` and its own `negatives` `[B, N, D]` the `dot(query, negatives)`
  is `[B, N]`, and `lse(dot(query, negatives), N)` one number of the example.
- A formula has at most {MAX_LENGTH} characters, {MAX_DEPTH} levels of parentheses and {MAX_NODES} operations.

"""


def _acts_on(operation: Operation) -> str:
    if operation.exchanges:
        return "B and the axis that runs over it again"
    if not operation.along:
        return "each component"
    axis = "an axis" if operation.names_axis else "D"
    return f"{axis}, which it takes away" if operation.reduces else f"{axis}, which stays"


def pages() -> dict[str, str]:
    """The page, a line for every operation that a formula can write and every function that a parameter chooses."""
    rows = [
        (
            code(operation.written),
            _acts_on(operation),
            escaped(operation.meaning),
            f"{ULPS[name]:g}" if name in ULPS else "",
        )
        for name, operation in OPERATIONS.items()
        if operation.in_formulas
    ]
    for name, definition in DEFINED.items():
        bodies = ", ".join(f"{code(body)} for {choice}" for choice, body in definition.bodies.items())
        meaning = f"By the parameter {code(definition.parameter)}: {bodies}."
        rows.append((code(f"{name}({', '.join(definition.arguments)})"), "D, which it takes away", meaning, ""))
    pairs = "the axis that runs over B again, which it takes away"
    rows.append((code(PAIRS[OWN]), pairs, "Of each example the entry of the pair with itself.", ""))
    head = ("written", "acts on", "meaning", "ulp granted")
    after = """
*ulp granted* is what the tolerance gives a transcendental function on top of the error of its operand; `sigmoid` gets
|x| more, `power` 3|y·log x|, and `logaddexp`, `lse`, `joint_lse` and `softmax` have
[a derivation of their own](../explanation/classes.md). All other operations are rounded once, or not at all where they
are exact.
"""
    return {"reference/formula-language.md": HEAD + table(head, rows) + after}
