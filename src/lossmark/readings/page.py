"""The page reading: a formula as people read it, in MathML and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

from ..formula.tree import Node

SUM, PRODUCT, FACTOR = 1, 2, 3
"""How tightly a piece binds: what is looser than its surroundings gets parentheses."""


@dataclass(frozen=True)
class Piece:
    """A rendered term."""

    mathml: str
    latex: str
    binding: int = FACTOR

    def within(self, binding: int) -> Piece:
        if self.binding >= binding:
            return self
        return Piece(f"<mrow><mo>(</mo>{self.mathml}<mo>)</mo></mrow>", rf"\left({self.latex}\right)")


def _operator(text: str, latex: str, binding: int) -> Callable[[Piece, Piece], Piece]:
    def rule(x: Piece, y: Piece) -> Piece:
        x, y = x.within(binding), y.within(binding + (text == "−"))
        return Piece(f"<mrow>{x.mathml}<mo>{text}</mo>{y.mathml}</mrow>", f"{x.latex} {latex} {y.latex}", binding)

    return rule


def _call(name: str) -> Callable[..., Piece]:
    def rule(*xs: Piece) -> Piece:
        inner = "<mo>,</mo>".join(x.mathml for x in xs)
        latex = ", ".join(x.latex for x in xs)
        return Piece(
            f"<mrow><mi>{name}</mi><mo>(</mo>{inner}<mo>)</mo></mrow>", rf"\operatorname{{{name}}}\left({latex}\right)"
        )

    return rule


def _fraction(x: Piece, y: Piece) -> Piece:
    return Piece(f"<mfrac>{x.mathml}{y.mathml}</mfrac>", rf"\frac{{{x.latex}}}{{{y.latex}}}")


def _squared(x: Piece) -> Piece:
    x = x.within(FACTOR)
    return Piece(f"<msup>{x.mathml}<mn>2</mn></msup>", f"{x.latex}^2")


def _negative(x: Piece) -> Piece:
    x = x.within(PRODUCT)
    return Piece(f"<mrow><mo>−</mo>{x.mathml}</mrow>", f"-{x.latex}", SUM)


def _between(left: str, right: str, latex_left: str, latex_right: str, power: str = "") -> Callable[..., Piece]:
    def rule(*xs: Piece) -> Piece:
        inner = "<mo>,</mo>".join(x.mathml for x in xs)
        mathml = f"<mrow><mo>{left}</mo>{inner}<mo>{right}</mo></mrow>"
        latex = rf"{latex_left} {', '.join(x.latex for x in xs)} {latex_right}"
        return Piece(f"<msup>{mathml}<mn>2</mn></msup>", f"{latex}^2") if power else Piece(mathml, latex)

    return rule


def _where(label: Piece, value: Piece, x: Piece, y: Piece) -> Piece:
    condition = f"{label.mathml}<mo>=</mo>{value.mathml}"
    rows = f"<mtr><mtd>{x.mathml}</mtd><mtd><mtext>if </mtext>{condition}</mtd></mtr>"
    rows += f"<mtr><mtd>{y.mathml}</mtd><mtd><mtext>else</mtext></mtd></mtr>"
    latex = rf"\begin{{cases}} {x.latex} & {label.latex} = {value.latex} \\ {y.latex} & \text{{else}} \end{{cases}}"
    return Piece(f"<mrow><mo>{{</mo><mtable columnalign='left'>{rows}</mtable></mrow>", latex)


def _root(x: Piece) -> Piece:
    return Piece(f"<msqrt>{x.mathml}</msqrt>", rf"\sqrt{{{x.latex}}}")


def _sum(x: Piece) -> Piece:
    return Piece(
        f"<mrow><munder><mo>∑</mo><mi>D</mi></munder>{x.within(PRODUCT).mathml}</mrow>",
        rf"\sum_D {x.within(PRODUCT).latex}",
        SUM,
    )


def _softplus(x: Piece) -> Piece:
    return Piece(
        f"<mrow><mi>log</mi><mo>(</mo><mn>1</mn><mo>+</mo><mi>exp</mi><mo>(</mo>{x.mathml}<mo>)</mo><mo>)</mo></mrow>",
        rf"\log\left(1 + \exp\left({x.latex}\right)\right)",
    )


RULES: Mapping[str, Callable[..., Piece]] = {
    "add": _operator("+", "+", SUM), "sub": _operator("−", "-", SUM), "mul": _operator("·", r"\cdot", PRODUCT),
    "div": _fraction, "neg": _negative, "square": _squared, "max": _call("max"), "min": _call("min"),
    "relu": lambda x: _call("max")(Piece("<mn>0</mn>", "0"), x), "exp": _call("exp"), "log": _call("log"),
    "log1p": lambda x: _call("log")(_operator("+", "+", SUM)(Piece("<mn>1</mn>", "1"), x)),
    "expm1": lambda x: _operator("−", "-", SUM)(_call("exp")(x), Piece("<mn>1</mn>", "1")),
    "sqrt": _root, "abs": _between("|", "|", "|", "|"), "softplus": _softplus, "sigmoid": _call("σ"), "sum": _sum,
    "dot": _between("⟨", "⟩", r"\langle", r"\rangle"), "sqnorm": _between("‖", "‖", r"\lVert", r"\rVert", "2"),
    "norm": _between("‖", "‖", r"\lVert", r"\rVert"), "where": _where,
}  # fmt: skip


def render(node: Node) -> Piece:
    """The formula below a node. Raises KeyError for operations that occur only in derivatives."""
    if node.op == "const":
        text = f"{float(node.payload or 0):g}"
        return Piece(f"<mn>{text}</mn>", text)
    if not node.args:
        return _name(str(node.payload))
    return RULES[node.op](*map(render, node.args))


def _name(name: str) -> Piece:
    """A name with what follows its first underscore, or a closing digit, as index."""
    base, _, index = name.partition("_")
    if not index and base[:-1] and base[-1].isdigit():
        base, index = base[:-1], base[-1]
    shown, latex = f"<mi>{escape(base)}</mi>", base if len(base) == 1 else rf"\mathrm{{{base}}}"
    if index:
        return Piece(f"<msub>{shown}<mi>{escape(index)}</mi></msub>", rf"{latex}_{{\mathrm{{{index}}}}}")
    return Piece(shown, latex)


def mathml(node: Node) -> str:
    """A ``<math>`` element."""
    return f'<math display="block">{render(node).mathml}</math>'


def latex(node: Node) -> str:
    """LaTeX source, for math mode."""
    return render(node).latex
