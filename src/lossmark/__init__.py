"""lossmark: loss functions held to their formulas.

The public face for authors of implementations; importing it imports no framework.

PYTEST_DONT_REWRITE, because pytest would rewrite the assertions of every package that brings a plugin, and warns where
one has been imported before pytest starts, as ``lossmark check`` has.
"""

from __future__ import annotations

from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
if not (Path(__file__).parent / "specs").is_dir() and (_ROOT / "specs").is_dir():
    __path__.append(str(_ROOT))  # in a clone the rooms lie beside src/, in a wheel inside the package

from .adapters.deviation import Deviation  # noqa: E402
from .adapters.implementation import Implementation  # noqa: E402
from .adapters.registry import implementations, load  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = ["Deviation", "Implementation", "__version__", "implementations", "load"]
