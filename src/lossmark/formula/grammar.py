"""The formula language: a text becomes a tree, or an error that says what is allowed instead.

Python's parser reads the text and nothing of Python runs it: each syntax node is looked up in a white list, a name
must be an input, a parameter or a term defined earlier, attributes, subscripts, strings and keywords do not exist.
Length, bracket depth and tree size are bounded before the parser sees the text, so that no spec file can hang or
crash the loader. Parentheses are normative: they fix the order of operations that the bound reading assumes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from fractions import Fraction

from ..errors import FormulaError, Place
from .defined import DEFINED, OWN
from .operations import FUNCTIONS, Operation
from .tree import BATCH, EMBEDDING, Builder, Node

MAX_LENGTH, MAX_DEPTH, MAX_NODES = 2000, 60, 400

CALLED = sorted({name for name, _ in FUNCTIONS} | {*DEFINED, OWN})
"""The functions a formula may call."""

_ALLOWED = (
    "allowed are numbers, names of inputs, parameters and terms, + - * /, x**2, parentheses, "
    f"label == 1 inside where, and {', '.join(CALLED)}"
)
_BINARY: Mapping[type[ast.operator], str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_DECIMAL = re.compile(r"(?=.{1,40}$)(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")


class Parser:
    """Reads the expressions of one formula into nodes of ``build``.

    ``names`` maps a name to its node; the caller adds each term it defines. ``choices`` gives the values of the
    parameters that have choices: they decide what a defined function stands for. ``ignored`` maps an integer label to
    the parameter whose value marks the rows that do not count: of these the entry at the label is 0. The axes in
    ``again`` run over the batch a second time.
    """

    def __init__(
        self,
        build: Builder,
        names: dict[str, Node],
        choices: Mapping[str, str],
        ignored: Mapping[Node, Node] | None = None,
        again: frozenset[str] = frozenset(),
    ):
        self.build, self.names, self.choices, self.ignored, self.again = build, names, choices, ignored or {}, again
        self._detached = 0

    def parse(self, text: str, place: Place) -> Node:
        """The node of an expression that stands at ``place`` in a spec file.

        Raises :class:`FormulaError` with file, line, column, the offending piece and what is allowed.
        """
        self._text, self._place = text, place
        self._screen(text)
        try:
            body = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            offset = getattr(error, "offset", 1) or 1
            raise self._error(
                f"not an expression: {_shorten(text)!r} ({getattr(error, 'msg', error)})", offset
            ) from None
        node = self._expression(body, 0)
        if len(self.build) > MAX_NODES:
            raise self._error(f"formula has more than {MAX_NODES} operations", 1)
        return node

    def _screen(self, text: str) -> None:
        """Refuses a text that is too long or nested too deep for Python's parser to be given."""
        if len(text) > MAX_LENGTH:
            raise self._error(f"formula has {len(text)} characters, at most {MAX_LENGTH} are allowed", 1)
        depth = 0
        for column, char in enumerate(text, 1):
            depth += (char in "([{") - (char in ")]}")
            if depth > MAX_DEPTH:
                raise self._error(f"formula is nested more than {MAX_DEPTH} deep", column)

    def _error(self, message: str, offset: int) -> FormulaError:
        place = self._place
        column = place.column + offset if place.column else offset
        return FormulaError(f"{message}; {_ALLOWED}", Place(place.file, place.line, column, place.key))

    def _refuse(self, node: ast.expr | ast.keyword, why: str) -> FormulaError:
        piece = ast.get_source_segment(self._text.strip(), node) or type(node).__name__
        return self._error(f"{why}: {_shorten(piece)!r}", node.col_offset + 1)

    def _expression(self, node: ast.expr, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._refuse(node, f"nested more than {MAX_DEPTH} deep")
        match node:
            case ast.Constant(value=value) if type(value) in (int, float):
                return self._constant(node)
            case ast.Name(id=name):
                if name not in self.names:
                    raise self._refuse(node, f"unknown name (known: {', '.join(self.names)})")
                return self.names[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.build("neg", self._expression(operand, depth + 1))
            case ast.BinOp(op=ast.Pow(), left=left, right=ast.Constant(value=2)):
                return self.build("square", self._expression(left, depth + 1))
            case ast.BinOp(op=op, left=left, right=right) if type(op) in _BINARY:
                x, y = self._expression(left, depth + 1), self._expression(right, depth + 1)
                gap = _gap_of(self.build, x, y) if isinstance(op, ast.Sub) else None
                return gap or self.build(_BINARY[type(op)], x, y)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(node, name, args, depth + 1)
        raise self._refuse(node, "not part of the formula language")

    def _constant(self, node: ast.Constant) -> Node:
        text = ast.get_source_segment(self._text.strip(), node) or ""
        if not _DECIMAL.fullmatch(text):
            raise self._refuse(node, "not a decimal number of at most 40 digits and exponent of at most 3")
        return self.build.const(Fraction(text))  # the decimal as written, not the float that Python made of it

    def _call(self, node: ast.Call, name: str, args: list[ast.expr], depth: int) -> Node:
        if name not in CALLED:
            raise self._refuse(node, f"unknown function {_shorten(name)!r}")
        if name == "where":
            return self._where(node, args, depth)
        if name == OWN:
            return self._own(node, args, depth)
        axis = args[-1].id if args and isinstance(args[-1], ast.Name) and args[-1].id in self.build.axes else None
        operation = FUNCTIONS.get((name, axis is not None))
        if operation is None and name not in DEFINED:
            raise self._refuse(node, f"{name} is written {_written(name)}")
        count = len(DEFINED[name].arguments) if operation is None else operation.operands
        given = args[:-1] if axis else args
        if len(given) != count:
            raise self._refuse(node, f"{name} takes {count} argument{'s' if count != 1 else ''}, got {len(given)}")
        self._detached += name == "detach"
        operands = [self._expression(arg, depth) for arg in given]
        self._detached -= name == "detach"
        if operation is None:
            self._require(EMBEDDING, name, given, operands)
            return self._defined(node, name, operands)
        return self._operation(operation, given, operands, axis)

    def _operation(self, operation: Operation, args: list[ast.expr], operands: list[Node], axis: str | None) -> Node:
        """An operation that a formula calls, along an axis if it names one."""
        if operation.name == "largest" and not self._detached:
            raise self._refuse(args[0], "max along an axis is written detach(max(x, A)), this is without detach")
        if operation.name == "pick":
            if operands[1].op != "input":
                raise self._refuse(args[1], "only a label can be an index")
            self._require(axis or "", operation.function, args[:1], operands[:1])
        elif operation.along:
            self._require(axis or EMBEDDING, operation.function, args, operands)
        node = self.build(operation.name, *operands, payload=axis)
        return self.counted(operands[1], node) if operation.name == "pick" else node

    def _own(self, node: ast.Call, args: list[ast.expr], depth: int) -> Node:
        """Of what has the batch twice the entries where both are the same example."""
        operands = [self._expression(arg, depth) for arg in args]
        pairs = [axis for operand in operands[:1] for axis in operand.dims if axis in self.again]
        if len(operands) != 1 or len(pairs) != 1 or BATCH not in operands[0].dims:
            raise self._refuse(node, f"{OWN} takes one argument, which has B and an axis that runs over B again")
        return self.build("pick", operands[0], self.build.place(BATCH), payload=pairs[0])

    def counted(self, label: Node, node: Node) -> Node:
        """The node, but 0 in the rows that the label says do not count."""
        if label not in self.ignored:
            return node
        return self.build("where", label, self.ignored[label], self.build.const(0), node)

    def _require(self, axis: str, name: str, args: list[ast.expr], operands: list[Node]) -> None:
        for arg, operand in zip(args, operands, strict=True):
            if axis not in operand.dims:
                what = "vectors over D, this is a scalar" if axis == EMBEDDING else f"what has the axis {axis}"
                raise self._refuse(arg, f"{name} takes {what}")

    def _defined(self, node: ast.Call, name: str, operands: list[Node]) -> Node:
        """The body that the parameter chooses, over the operands."""
        definition = DEFINED[name]
        if definition.parameter not in self.choices:
            raise self._refuse(node, f"{name} needs a parameter named {definition.parameter}")
        arguments = dict(zip(definition.arguments, operands, strict=True))
        body = definition.bodies[self.choices[definition.parameter]]
        return Parser(self.build, arguments, {}).parse(body, self._place)

    def _where(self, node: ast.Call, args: list[ast.expr], depth: int) -> Node:
        if len(args) != 3:
            raise self._refuse(node, f"where takes a condition and two terms, got {len(args)} arguments")
        match args[0]:
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[(ast.Constant() | ast.Name()) as right]):
                label, value = self._expression(left, depth), self._expression(right, depth)
            case _:
                raise self._refuse(args[0], "the condition of where must be label == number")
        if label.op != "param" and (label.op != "input" or label.dims != (BATCH,)):
            raise self._refuse(left, "only a label [B] or a parameter can be compared")
        if value.op not in ("const", "param"):
            raise self._refuse(right, "a label is compared with a number or a parameter")
        return self.build("where", label, value, self._expression(args[1], depth), self._expression(args[2], depth))


def _gap_of(build: Builder, x: Node, y: Node) -> Node | None:
    """x - y as one operation, where y is the entry of x at a label; None where it is not.

    Whoever computes x with some error takes it away from itself at the label, so that the difference is exact there.
    """
    picked = y.args[3] if y.op == "where" and y.args[3].op == "pick" else y
    if picked.op != "pick" or picked.args[0] is not x:
        return None
    return build("gap", x, picked.args[1], payload=picked.payload)


def _written(name: str) -> str:
    return " or ".join(operation.written for (called, _), operation in FUNCTIONS.items() if called == name)


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."
