"""The page of the formula language, from the table of its operations."""

from lossmark.formula.grammar import FUNCTIONS, MAX_DEPTH, MAX_LENGTH, MAX_NODES
from lossmark.formula.tree import ELEMENTWISE, REDUCTIONS
from lossmark.readings.bound import ULPS

from .markdown import code, table

MEANING = {
    "abs": "|x|", "dot": "⟨x, y⟩", "exp": "eˣ", "expm1": "eˣ − 1", "log": "natural logarithm", "log1p": "log(1 + x)",
    "max": "the larger of two", "min": "the smaller of two", "norm": "‖x‖₂", "relu": "max(0, x)",
    "sigmoid": "1 / (1 + e⁻ˣ)", "sim": "similarity, as the parameter `similarity` says: `dot` or `cosine`",
    "softplus": "log(1 + eˣ), one operation that does not overflow by itself", "sqnorm": "‖x‖₂²", "sqrt": "√x",
    "sum": "Σ over the dimension, written `sum(x, D)`", "where": "`where(label == 1, x, y)`: x where it holds, else y",
}  # fmt: skip
HEAD = f"""# Formula language

A formula speaks of one example of a batch. It is parsed by Python's parser and checked node by node against a white
list; nothing of it is run by Python. Allowed are decimal numbers, names of inputs, parameters and terms of `where`,
`+ - * /`, `x**2`, parentheses and the functions below.

- Parentheses are normative: they fix the order of operations that the tolerance assumes.
- A constant is the decimal as written: `1e-8` is 10⁻⁸, not the nearest float64.
- An input of shape `[B, D]` is a vector, an input of shape `[B]` is a number.
- A formula has at most {MAX_LENGTH} characters, {MAX_DEPTH} levels of parentheses and {MAX_NODES} operations.

"""


def pages() -> dict[str, str]:
    """The page; raises KeyError for a function that nobody has described."""
    rows = []
    for name in FUNCTIONS:
        count = {**ELEMENTWISE, **REDUCTIONS}.get(name, 2)
        kind = "vectors to a number" if name in REDUCTIONS or name == "sim" else "each component"
        ulps = f"{ULPS[name]:g}" if name in ULPS else ""
        rows.append((code(name), 3 if name == "where" else count, kind, MEANING[name], ulps))
    head = ("function", "operands", "acts on", "meaning", "ulp granted")
    after = """
*ulp granted* is what the tolerance gives a transcendental function on top of the error of its operand; `sigmoid` gets
|x| more. All other operations are rounded once, or not at all where they are exact.
"""
    return {"reference/formula-language.md": HEAD + table(head, rows) + after}
