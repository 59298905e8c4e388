"""Writes the generated pages: every module of ``docs/generators`` gives some, by a function ``pages``."""

import importlib
import pkgutil
from pathlib import Path

import generators


def write(folder: Path) -> None:
    """Write every generated page below ``folder``; raises ValueError if a page is there already."""
    for module in pkgutil.iter_modules(generators.__path__):
        found = importlib.import_module(f"generators.{module.name}")
        for name, text in found.pages().items() if hasattr(found, "pages") else ():
            path = folder / name
            if path.exists():
                raise ValueError(f"{module.name}: the page {name} is written twice")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.rstrip() + "\n", encoding="utf-8")
