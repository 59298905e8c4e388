"""The frameworks that lossmark has an adapter for, and which of them are installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Mapping
from importlib import metadata

from .framework import Framework

ROOMS: Mapping[str, str] = {"numpy": "numpy_", "torch": "pytorch", "tensorflow": "tensorflow_", "jax": "jax_"}
"""Framework → its folder in ``lossmark.impls``, named so that nothing shadows the framework."""


@functools.cache
def framework(name: str) -> Framework:
    """The adapter of a framework; importing the framework itself is left to its methods."""
    module = importlib.import_module(f"lossmark.impls.{ROOMS[name]}.framework")
    found: Framework = module.FRAMEWORK
    return found


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
