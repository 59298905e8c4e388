"""The frameworks that lossmark has an adapter for, and which of them are installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from importlib import metadata

from .framework import Framework
from .runtime import COMMAND, Runtime

IMPLS = "lossmark.impls"
"""The room with a folder for each framework; the folder holds a module ``framework`` that binds ``FRAMEWORK``."""


@functools.cache
def frameworks() -> Mapping[str, Framework]:
    """Every framework with a folder in :data:`IMPLS`, by name and in order of rank. Imports no framework."""
    folders = pkgutil.iter_modules(importlib.import_module(IMPLS).__path__, f"{IMPLS}.")
    modules = [f"{folder.name}.framework" for folder in folders if folder.ispkg]
    found: list[Framework] = [
        importlib.import_module(name).FRAMEWORK for name in modules if importlib.util.find_spec(name)
    ]
    return {adapter.name: adapter for adapter in sorted(found, key=lambda adapter: adapter.rank)}


def framework(name: str) -> Framework:
    """The adapter of a framework; importing the framework itself is left to its methods. Raises KeyError."""
    return frameworks()[name]


def runtime(name: str) -> Runtime:
    """Where an implementation runs: the framework of this name, or a program. Raises KeyError."""
    return COMMAND if name == COMMAND.name else framework(name)


def lacking(name: str) -> str:
    """Why nothing can run where implementations of this name do; empty if it can."""
    return "" if name == COMMAND.name or framework_version(name) else f"{name} is not installed"


def framework_version(name: str) -> str | None:
    """The installed version of a framework, without importing it; None where it is absent."""
    adapter = framework(name)
    if importlib.util.find_spec(adapter.module) is None:
        return None
    for distribution in adapter.distributions:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def numeric_setups() -> dict[str, str]:
    """What each framework's numeric set-up makes strict, by name of the framework, in words."""
    return {name: ", ".join(adapter.numerics) for name, adapter in frameworks().items() if adapter.numerics}
