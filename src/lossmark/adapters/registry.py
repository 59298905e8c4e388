"""Finding implementations: by name, in a file, in a module; lossmark's own and those that others register."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType

from ..errors import LoadError
from .framework import Framework
from .implementation import Implementation
from .installed import framework, frameworks
from .runtime import COMMAND

ENTRY_POINTS = "lossmark.implementations"
"""The group of entry points under which other distributions register a module that binds an implementation."""


@functools.cache
def own_implementations() -> Mapping[str, Framework]:
    """lossmark's own implementations: name → framework. Those written beside the formula first, then the fused."""
    found = [(own.fused, name, adapter) for adapter in frameworks().values() for name, own in adapter.own.items()]
    return {name: adapter for _, name, adapter in sorted(found, key=lambda item: item[0])}


def _module_of(name: str) -> str:
    """The module that binds one of lossmark's own implementations."""
    adapter = own_implementations()[name]
    folder = type(adapter).__module__.rpartition(".")[0]
    return f"{folder}.{adapter.own[name].module}"


@functools.cache
def own_losses(name: str) -> tuple[str, ...]:
    """The losses of one of lossmark's own implementations: what its source registers, without importing a framework.

    That is each function whose outermost decorator is ``@impl.loss``, and each ``impl.loss("id")``. Raises KeyError for
    an unknown name.
    """
    spec = importlib.util.find_spec(_module_of(name))
    if spec is None or spec.origin is None:
        return ()
    found = []
    for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(decorator_list=[ast.Attribute(value=ast.Name(id="impl"), attr="loss"), *_]):
                found.append(node.name)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="impl"), attr="loss"), args=[ast.Constant(value=str(loss))]
            ):
                found.append(loss)
    return tuple(found)


@dataclass(frozen=True)
class Reference:
    """How to load an implementation again, in another process.

    ``source`` is a registered name, a file, a module, or a program's command line; ``name`` is the implementation's,
    ``framework`` that of its framework.
    """

    source: str
    name: str
    framework: str
    own: bool = False
    """Whether it is lossmark's own."""

    @property
    def together(self) -> tuple[str, ...]:
        """The sources that one process may hold: lossmark's own of a framework trust each other, guests nobody."""
        return tuple(framework(self.framework).own) if self.own else (self.source,)

    @property
    def options(self) -> tuple[str, ...]:
        """The options of ``pytest conformance`` that choose it."""
        if self.framework == COMMAND.name:
            return "--command", self.source, "--name", self.name
        return "--impl", self.source

    @property
    def process(self) -> tuple[str, ...]:
        """Names the worker process that it has: lossmark's own of a framework share one, a guest has its own."""
        return self.together if self.own else (self.source, self.name)


def _plugins() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}


def implementations() -> list[str]:
    """The names of lossmark's own implementations and of those that other distributions register."""
    return [*own_implementations(), *sorted(_plugins())]


def peers() -> list[str]:
    """The names of other people's losses that lossmark has a module for, their libraries installed or not."""
    return sorted(name for name, point in _plugins().items() if point.module.startswith("lossmark.impls.peers."))


def load(source: str | Path) -> Implementation:
    """The implementation with this name, in this file (``FILE.py`` or ``FILE.py::name``) or in this module.

    Raises :class:`LoadError` where there is none, or several and no ``::name``.
    """
    text, _, wanted = str(source).partition("::")
    found = load_all(text)
    chosen = [impl for impl in found if not wanted or impl.name == wanted]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(repr(impl.name) for impl in found)
    if wanted and not chosen:
        raise LoadError(f"{text}: no implementation named {wanted!r}, it has {names}")
    raise LoadError(f"{text}: holds several implementations ({names}), name one: {text}::NAME")


def load_all(source: str) -> list[Implementation]:
    """Every implementation that a name, file or module stands for, each object once, in order of binding.

    Raises :class:`LoadError` where importing fails or no module-level name is bound to one.
    """
    module = _module(source)
    found: dict[int, Implementation] = {}
    for value in vars(module).values():
        if isinstance(value, Implementation):
            found.setdefault(id(value), value)
    if not found:
        raise LoadError(f"{source}: no module-level name is bound to a lossmark.Implementation")
    return list(found.values())


def _module(source: str) -> ModuleType:
    if source in own_implementations():
        return _import(_module_of(source), source)
    if source.endswith(".py") or "/" in source:
        return _from_file(Path(source))
    plugin = _plugins().get(source)
    if plugin is not None:
        return _import(plugin.module, source)
    if all(part.isidentifier() for part in source.split(".")):
        return _import(source, source)
    raise LoadError(
        f"no implementation named {source!r} (known: {', '.join(implementations())}), and no such file or module"
    )


def _import(name: str, source: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        known = ", ".join(implementations())
        raise LoadError(
            f"{source}: cannot be imported: {type(error).__name__}: {error} (known names: {known})"
        ) from error


def _from_file(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise LoadError(f"{path}: no such file")
    name = f"_lossmark_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise LoadError(f"{path}: cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module
