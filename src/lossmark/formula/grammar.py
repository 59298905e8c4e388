"""The formula language: a text becomes a tree, or an error that says what is allowed instead.

Python's parser reads the text and nothing of Python runs it: each syntax node is looked up in a white list, a name
must be an input, a parameter or a term defined earlier, attributes, subscripts, strings and keywords do not exist.
Length, bracket depth and tree size are bounded before the parser sees the text, so that no spec file can hang or
crash the loader. Parentheses are normative: they fix the order of operations that the bound reading assumes.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping
from fractions import Fraction

from ..errors import FormulaError, Place
from .defined import DEFINED, OVER, OWN, PAIRS
from .operations import FUNCTIONS, OPERATIONS, Operation
from .tree import BATCH, EMBEDDING, Builder, Node, taken_from_itself

MAX_LENGTH, MAX_DEPTH, MAX_NODES = 2000, 60, 400

CALLED = sorted({name for name, _ in FUNCTIONS} | {*DEFINED, *PAIRS})
"""The functions a formula may call."""

_ALLOWED = (
    "allowed are numbers, names of inputs, parameters and terms, + - * /, x**2, parentheses, "
    f"label == 1 inside where, and {', '.join(CALLED)}"
)
_BINARY: Mapping[type[ast.operator], str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_CONDITION = "a condition stands only inside where, only, any and lse"
_DECIMAL = re.compile(r"(?=.{1,40}$)(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")


class Parser:
    """Reads the expressions of one formula into nodes of ``build``.

    ``names`` maps a name to its node; the caller adds each term it defines. ``choices`` gives the values of the
    parameters that have choices: they decide what a defined function stands for. ``ignored`` maps an integer label to
    the parameter whose value marks the rows that do not count: of these the entry at the label is 0. ``indices`` maps
    each integer label to its axis. The axes in ``again`` run over the batch a second time.
    """

    def __init__(
        self,
        build: Builder,
        names: dict[str, Node],
        choices: Mapping[str, str],
        ignored: Mapping[Node, Node] | None = None,
        indices: Mapping[Node, str] | None = None,
        again: frozenset[str] = frozenset(),
    ):
        self.build, self.names, self.choices, self.ignored, self.again = build, names, choices, ignored or {}, again
        self.indices = indices or {}
        self._detached = 0

    def parse(self, text: str, place: Place, *, term: bool = False) -> Node:
        """The node of an expression, or of a ``term`` that may be a condition, that stands at ``place`` in a spec file.

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
        node = self._condition(body, 0) if term and _is_condition(body) else self._expression(body, 0)
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
                if _true_or_false(self.names[name]):
                    raise self._refuse(node, _CONDITION)
                return self.names[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.build("neg", self._expression(operand, depth + 1))
            case ast.BinOp(op=ast.Pow(), left=left, right=ast.Constant(value=2)):
                return self.build("square", self._expression(left, depth + 1))
            case ast.BinOp(op=op, left=left, right=right) if type(op) in _BINARY:
                x, y = self._expression(left, depth + 1), self._expression(right, depth + 1)
                same = taken_from_itself(self.build, x, y) if isinstance(op, ast.Sub) else None
                return same or self.build(_BINARY[type(op)], x, y)
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
        if name in PAIRS:
            return self._again(node, name, args, depth)
        if name == "only" and len(args) == 2:
            return self._some(args[0], args[1], depth)
        if name == "lse" and len(args) == 3:
            return self._lse_of_some(args, depth)
        axis = self._axis(args[-1]) if args else None
        operation = FUNCTIONS.get((name, axis is not None))
        if operation is None and name not in DEFINED:
            raise self._refuse(node, f"{name} is written {_written(name)}")
        if operation is not None and operation.condition:
            raise self._refuse(node, _CONDITION)
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
        elif operation.name == "power" and operands[1].op not in ("const", "param"):
            raise self._refuse(args[1], "the exponent of power is a number or a parameter")
        elif operation.along:
            self._require(axis or EMBEDDING, operation.function, args, operands)
        node = self.build(operation.name, *operands, payload=axis)
        return self.counted(operands[1], node) if operation.name == "pick" else node

    def _axis(self, node: ast.expr) -> str | None:
        """The axis that an argument names; None where it is an expression. Refuses a letter that is no axis."""
        if isinstance(node, ast.Name) and re.fullmatch("[A-Z]", node.id) and node.id not in self.build.axes:
            raise self._refuse(node, f"unknown axis (known: {', '.join(self.build.axes)})")
        return node.id if isinstance(node, ast.Name) and node.id in self.build.axes else None

    def _some(self, term: ast.expr, condition: ast.expr, depth: int) -> Node:
        return self.build("only", self._condition(condition, depth), self._expression(term, depth))

    def _any(self, node: ast.Call, args: list[ast.expr], depth: int) -> Node:
        axis = self._axis(args[1]) if len(args) == 2 else None
        if axis is None:
            raise self._refuse(node, "any is written any(condition, A)")
        condition = self._condition(args[0], depth)
        self._require(axis, "any", args[:1], [condition])
        return self.build("any", condition, payload=axis)

    def _lse_of_some(self, args: list[ast.expr], depth: int) -> Node:
        """The log-sum-exp of the entries for which a condition is true."""
        axis = self._axis(args[1])
        if axis is None:
            raise self._refuse(args[1], "lse is written lse(x, A) or lse(x, A, condition)")
        some = self._some(args[0], args[2], depth)
        self._require(axis, "lse", args[:1], [some])
        return self.build("lse", some, payload=axis)

    def _again(self, node: ast.Call, name: str, args: list[ast.expr], depth: int) -> Node:
        """What concerns pairs of examples: ``own(x)``, ``swap(x)`` and ``over(x, J)``."""
        axis = self._axis(args[1]) if name == OVER and len(args) == 2 else next(iter(self.again), None)
        if len(args) != 1 + (name == OVER) or axis not in self.again:
            raise self._refuse(node, f"{name} is written {PAIRS[name]}, with an axis that runs over B again")
        operand = self._expression(args[0], depth)
        if name == OVER and (operand.op != "input" or BATCH not in operand.dims or axis in operand.dims):
            raise self._refuse(args[0], f"{name} takes an input of each example")
        if name != OVER and not {BATCH, axis} <= {*operand.dims}:
            raise self._refuse(node, f"{name} takes one argument, which has B and an axis that runs over B again")
        if name == OWN:
            return self.build("pick", operand, self.build.place(BATCH), payload=axis)
        return self.build("swap", operand, payload=axis)

    def counted(self, label: Node, node: Node) -> Node:
        """The node, but 0 in the rows that the label says do not count."""
        if label not in self.ignored:
            return node
        return self.build("where", self.build("equal", label, self.ignored[label]), self.build.const(0), node)

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
        condition = self._condition(args[0], depth)
        return self.build("where", condition, self._expression(args[1], depth), self._expression(args[2], depth))

    def _condition(self, node: ast.expr, depth: int) -> Node:
        """What is true or false: a comparison, or what not and and make of such."""
        if depth > MAX_DEPTH:
            raise self._refuse(node, f"nested more than {MAX_DEPTH} deep")
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.build("not", self._condition(operand, depth + 1))
            case ast.BoolOp(op=ast.And(), values=values):
                conditions = [self._condition(value, depth + 1) for value in values]
                return functools.reduce(lambda x, y: self.build("both", x, y), conditions)
            case ast.Compare(left=ast.Name(id=left), ops=[ast.Eq()], comparators=[ast.Name(id=right)]) if (
                left == BATCH and right in self.again
            ):
                return self.build("equal", self.build.place(left), self.build.place(right))
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Name(id=axis)]) if (
                axis in self.build.axes and axis not in self.names
            ):
                return self._at(left, axis, depth + 1)
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                return self._equal(left, right, depth + 1)
            case ast.Call(func=ast.Name(id="any"), args=args, keywords=[]):
                return self._any(node, args, depth + 1)
            case ast.Name(id=name) if name in self.names and _true_or_false(self.names[name]):
                return self.names[name]
        raise self._refuse(node, "a condition is label == number, label == C, B == J, or made of such by not, and, any")

    def _at(self, left: ast.expr, axis: str, depth: int) -> Node:
        """Whether an integer label is the number of an entry along its axis."""
        label = self._expression(left, depth)
        if self.indices.get(label) != axis:
            raise self._refuse(left, f"only a label that is an index along {axis} can be compared with {axis}")
        return self.build("equal", label, self.build.place(axis))

    def _equal(self, left: ast.expr, right: ast.expr, depth: int) -> Node:
        """Whether a label is a number, a parameter or the label of the other example."""
        label, value = self._expression(left, depth), self._expression(right, depth)
        if label.op != "param" and (label.op != "input" or BATCH not in label.dims):
            raise self._refuse(left, "only a label of an example or a parameter can be compared")
        if value.op not in ("const", "param") and not (value.op == "swap" and value.args[0] is label):
            raise self._refuse(right, "a label is compared with a number, a parameter or itself over the other axis")
        return self.build("equal", label, value)


def _is_condition(node: ast.expr) -> bool:
    negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "any"
    return negated or called or isinstance(node, (ast.Compare, ast.BoolOp))


def _true_or_false(node: Node) -> bool:
    return node.op in OPERATIONS and OPERATIONS[node.op].condition


def _written(name: str) -> str:
    return " or ".join(operation.written for (called, _), operation in FUNCTIONS.items() if called == name)


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."
