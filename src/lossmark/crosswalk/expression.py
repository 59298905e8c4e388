"""A call as it is written down: a Python expression of inputs, parameters and the modules that it names."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any

from ..errors import LossmarkError


class Expression:
    """The text of a call. Names that are not given are modules, imported when they are first needed.

    Raises :class:`LossmarkError` for what is no expression.
    """

    def __init__(self, text: str):
        self.text = text
        try:
            self._tree = ast.parse(text, mode="eval")
        except SyntaxError as error:
            raise LossmarkError(f"{text!r} is no Python expression: {error.msg}") from None

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Every name that the expression begins with somewhere, but for built-in ones and its own arguments."""
        own = {node.arg for node in ast.walk(self._tree) if isinstance(node, ast.arg)}
        own |= {
            node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        read = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)}
        return frozenset(name for name in read - own if not hasattr(builtins, name))

    @functools.cached_property
    def _code(self) -> CodeType:
        return compile(self._tree, self.text, "eval")

    def __call__(self, given: Mapping[str, Any]) -> Any:
        """What the call gives; raises whatever it raises, ImportError where a module is absent."""
        return eval(self._code, {**self._modules(frozenset(given)), **given})

    @functools.cache  # noqa: B019 (as many expressions as there are functions)
    def _modules(self, given: frozenset[str]) -> Mapping[str, Any]:
        for node in ast.walk(self._tree):
            dotted = _dotted(node)
            if dotted and dotted[0] in self.names - given:
                _import(dotted)
        return {name: importlib.import_module(name) for name in self.names - given}

    def defaults(self, parameters: frozenset[str]) -> Iterator[tuple[str, object]]:
        """What the library has by default for the parameters that are handed over by a keyword of their own.

        Each is yielded as its name in ``parameters`` and the default.
        """
        for node in ast.walk(self._tree):
            if not isinstance(node, ast.Call):
                continue
            handed = {
                word.arg: word.value.id for word in node.keywords if word.arg and isinstance(word.value, ast.Name)
            }
            handed = {word: name for word, name in handed.items() if name in parameters}
            dotted = _dotted(node.func)
            if handed and dotted:
                known = inspect.signature(_object(dotted)).parameters
                for word, name in handed.items():
                    if word in known and known[word].default is not inspect.Parameter.empty:
                        yield name, known[word].default


def _dotted(node: ast.AST) -> tuple[str, ...]:
    """``a.b.c`` as its parts; empty for anything else."""
    if isinstance(node, ast.Name):
        return (node.id,)
    before = _dotted(node.value) if isinstance(node, ast.Attribute) else ()
    return (*before, node.attr) if before and isinstance(node, ast.Attribute) else ()


def _import(dotted: tuple[str, ...]) -> None:
    """Import as much of a dotted name as is a module: the first part must be one."""
    importlib.import_module(dotted[0])
    for length in range(2, len(dotted) + 1):
        name = ".".join(dotted[:length])
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            return


def _object(dotted: tuple[str, ...]) -> Any:
    """What a dotted name stands for."""
    _import(dotted)
    return functools.reduce(getattr, dotted[1:], importlib.import_module(dotted[0]))
