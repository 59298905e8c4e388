"""The rooms: the folders of the project that stand on the engine and that it finds by name, never by import."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from .errors import LossmarkError


def room(name: str) -> Path:
    """The folder of ``lossmark.<name>``, in a clone or in a wheel. Raises :class:`LossmarkError` where it is absent."""
    spec = importlib.util.find_spec(f"lossmark.{name}")
    if spec is None or not spec.submodule_search_locations:
        raise LossmarkError(f"the {name} folder of lossmark is not installed")
    return Path(next(iter(spec.submodule_search_locations)))
