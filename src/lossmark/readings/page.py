"""The page reading: a formula as people read it, in MathML and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

from ..formula.defined import OWN
from ..formula.operations import OPERATIONS
from ..formula.tree import PLACE, Node, some_of, spelled_out

SUM, PRODUCT, FACTOR = 1, 2, 3
"""How tightly a piece binds: what is looser than its surroundings gets parentheses."""


@dataclass(frozen=True)
class Term:
    """A rendered term: its MathML, its LaTeX, and how tightly it binds."""

    mathml: str
    latex: str
    binding: int = FACTOR

    def within(self, binding: int) -> Term:
        """The term as part of one that binds by ``binding``: in parentheses where it is looser."""
        if self.binding >= binding:
            return self
        return Term(f"<mrow><mo>(</mo>{self.mathml}<mo>)</mo></mrow>", rf"\left({self.latex}\right)")


def _operator(text: str, latex: str, binding: int) -> Callable[[Term, Term], Term]:
    def rule(x: Term, y: Term) -> Term:
        x, y = x.within(binding), y.within(binding + (text == "−"))
        return Term(f"<mrow>{x.mathml}<mo>{text}</mo>{y.mathml}</mrow>", f"{x.latex} {latex} {y.latex}", binding)

    return rule


def _call(name: str) -> Callable[..., Term]:
    def rule(*xs: Term) -> Term:
        inner = "<mo>,</mo>".join(x.mathml for x in xs)
        latex = ", ".join(x.latex for x in xs)
        return Term(
            f"<mrow><mi>{name}</mi><mo>(</mo>{inner}<mo>)</mo></mrow>", rf"\operatorname{{{name}}}\left({latex}\right)"
        )

    return rule


_ZERO, _ONE = Term("<mn>0</mn>", "0"), Term("<mn>1</mn>", "1")


def _log1p(x: Term) -> Term:
    return _call("log")(_operator("+", "+", SUM)(_ONE, x))


def _xlogy(x: Term, y: Term) -> Term:
    return _operator("·", r"\cdot", PRODUCT)(x, _call("log")(y))


def _expm1(x: Term) -> Term:
    return _operator("−", "-", SUM)(_call("exp")(x), _ONE)


def _relu(x: Term) -> Term:
    return _call("max")(_ZERO, x)


def _fraction(x: Term, y: Term) -> Term:
    return Term(f"<mfrac>{x.mathml}{y.mathml}</mfrac>", rf"\frac{{{x.latex}}}{{{y.latex}}}")


def _squared(x: Term) -> Term:
    x = x.within(FACTOR)
    return Term(f"<msup>{x.mathml}<mn>2</mn></msup>", f"{x.latex}^2")


def _negative(x: Term) -> Term:
    x = x.within(PRODUCT)
    return Term(f"<mrow><mo>−</mo>{x.mathml}</mrow>", f"-{x.latex}", SUM)


def _between(left: str, right: str, latex_left: str, latex_right: str, power: str = "") -> Callable[..., Term]:
    """The operands between two brackets, squared where a ``power`` is given."""

    def rule(*xs: Term) -> Term:
        inner = "<mo>,</mo>".join(x.mathml for x in xs)
        mathml = f"<mrow><mo>{left}</mo>{inner}<mo>{right}</mo></mrow>"
        latex = rf"{latex_left} {', '.join(x.latex for x in xs)} {latex_right}"
        return Term(f"<msup>{mathml}<mn>2</mn></msup>", f"{latex}^2") if power else Term(mathml, latex)

    return rule


def _power(x: Term, y: Term) -> Term:
    x = x.within(FACTOR)
    return Term(f"<msup>{x.mathml}{y.mathml}</msup>", f"{x.latex}^{{{y.latex}}}")


def _log1mexp(x: Term) -> Term:
    return _call("log")(_operator("−", "-", SUM)(_ONE, _call("exp")(_negative(x))))


def _logcosh(x: Term) -> Term:
    return _call("log")(_call("cosh")(x))


def _joined(word: str, latex: str) -> Callable[[Term, Term], Term]:
    """Two terms with a sign or a word between them, in a condition."""

    def rule(x: Term, y: Term) -> Term:
        return Term(f"<mrow>{x.mathml}{word}{y.mathml}</mrow>", f"{x.latex} {latex} {y.latex}")

    return rule


def _not(x: Term) -> Term:
    return Term(f"<mrow><mo>¬</mo><mo>(</mo>{x.mathml}<mo>)</mo></mrow>", rf"\lnot\left({x.latex}\right)")


def _swap(x: Term) -> Term:
    """The number of a pair with its examples exchanged."""
    x = x.within(FACTOR)
    return Term(f"<msup>{x.mathml}<mi>⊤</mi></msup>", rf"{x.latex}^\top")


def _where(condition: Term, x: Term, y: Term) -> Term:
    rows = f"<mtr><mtd>{x.mathml}</mtd><mtd><mtext>if </mtext>{condition.mathml}</mtd></mtr>"
    rows += f"<mtr><mtd>{y.mathml}</mtd><mtd><mtext>else</mtext></mtd></mtr>"
    latex = rf"\begin{{cases}} {x.latex} & {condition.latex} \\ {y.latex} & \text{{else}} \end{{cases}}"
    return Term(f"<mrow><mo>{{</mo><mtable columnalign='left'>{rows}</mtable></mrow>", latex)


def _only(condition: Term, x: Term) -> Term:
    """The entries for which a condition is true."""
    return Term(
        f"<mrow>{x.within(FACTOR).mathml}<mo>|</mo>{condition.mathml}</mrow>",
        rf"{x.within(FACTOR).latex} \mid {condition.latex}",
        SUM,
    )


def _root(x: Term) -> Term:
    return Term(f"<msqrt>{x.mathml}</msqrt>", rf"\sqrt{{{x.latex}}}")


def _sum(x: Term, axis: str) -> Term:
    return Term(
        f"<mrow><munder><mo>∑</mo><mi>{axis}</mi></munder>{x.within(PRODUCT).mathml}</mrow>",
        rf"\sum_{axis} {x.within(PRODUCT).latex}",
        SUM,
    )


def _call_along(name: str) -> Callable[..., Term]:
    """A function with the axis that it works along below its name."""

    def rule(*terms: Term | str) -> Term:
        *xs, axis = terms
        operands = [x for x in xs if isinstance(x, Term)]
        inner = "<mo>,</mo>".join(x.mathml for x in operands)
        latex = ", ".join(x.latex for x in operands)
        return Term(
            f"<mrow><munder><mi>{name}</mi><mi>{axis}</mi></munder><mo>(</mo>{inner}<mo>)</mo></mrow>",
            rf"\operatorname*{{{name}}}_{axis}\left({latex}\right)",
        )

    return rule


def _entry(x: Term, label: Term, axis: str) -> Term:
    x = x.within(FACTOR)
    return Term(f"<msub>{x.mathml}{label.mathml}</msub>", f"{x.latex}_{{{label.latex}}}")


def _same(x: Term) -> Term:
    """A number that is detached is the same number."""
    return x


def _softplus(x: Term) -> Term:
    return Term(
        f"<mrow><mi>log</mi><mo>(</mo><mn>1</mn><mo>+</mo><mi>exp</mi><mo>(</mo>{x.mathml}<mo>)</mo><mo>)</mo></mrow>",
        rf"\log\left(1 + \exp\left({x.latex}\right)\right)",
    )


RULES: Mapping[str, Callable[..., Term]] = {
    "add": _operator("+", "+", SUM), "sub": _operator("−", "-", SUM), "mul": _operator("·", r"\cdot", PRODUCT),
    "div": _fraction, "neg": _negative, "square": _squared, "max": _call("max"), "min": _call("min"),
    "relu": _relu, "exp": _call("exp"), "log": _call("log"), "log1p": _log1p, "expm1": _expm1,
    "xlogy": _xlogy,
    "sqrt": _root, "abs": _between("|", "|", "|", "|"), "softplus": _softplus, "sigmoid": _call("σ"), "sum": _sum,
    "dot": _between("⟨", "⟩", r"\langle", r"\rangle"), "sqnorm": _between("‖", "‖", r"\lVert", r"\rVert", "2"),
    "norm": _between("‖", "‖", r"\lVert", r"\rVert"), "where": _where, "largest": _call_along("max"),
    "lse": _call_along("lse"), "softmax": _call_along("softmax"), "pick": _entry, "detach": _same,
    "mean": _call_along("mean"), "tanh": _call("tanh"), "power": _power, "log1mexp": _log1mexp, "logcosh": _logcosh,
    "logaddexp": _call("logaddexp"), "swap": _swap, "not": _not, "equal": _joined("<mo>=</mo>", "="),
    "joint_lse": _call_along("lse"), "any": _call_along("any"), "only": _only,
    "both": _joined("<mtext> and </mtext>", r"\text{ and }"),
}  # fmt: skip
"""How each operation that a formula can write is shown, from the terms of its operands."""


def render(node: Node) -> Term:
    """The formula below a node. Raises KeyError for operations that occur only in derivatives."""
    if node.op == "const":
        text = f"{float(node.payload or 0):g}"
        return Term(f"<mn>{text}</mn>", text)
    if not node.args:
        return _name(str(node.payload).removeprefix(PLACE))
    node = spelled_out(node)
    if node.op == "pick" and node.args[1].op == "place":
        return _call(OWN)(render(node.args[0]))
    if some := some_of(node):
        return _call_along("lse")(*map(render, some), str(node.payload))
    if node.op == "swap" and not node.args[0].args:
        return _entry(render(node.args[0]), _name(str(node.payload)), "")
    axis = [str(node.payload)] if OPERATIONS[node.op].names_axis else []
    return RULES[node.op](*map(render, node.args), *axis)


def _name(name: str) -> Term:
    """A name with what follows its first underscore, or a closing digit, as index."""
    base, _, index = name.partition("_")
    if not index and base[:-1] and base[-1].isdigit():
        base, index = base[:-1], base[-1]
    shown, latex = f"<mi>{escape(base)}</mi>", base if len(base) == 1 else rf"\mathrm{{{base}}}"
    if index:
        return Term(f"<msub>{shown}<mi>{escape(index)}</mi></msub>", rf"{latex}_{{\mathrm{{{index}}}}}")
    return Term(shown, latex)


def mathml(node: Node) -> str:
    """A ``<math>`` element."""
    return f'<math display="block">{render(node).mathml}</math>'


def latex(node: Node) -> str:
    """LaTeX source, for math mode."""
    return render(node).latex
