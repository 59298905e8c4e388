"""The command that says what there is: ``lossmark list``."""

from __future__ import annotations

from ..adapters import registry
from ..adapters.installed import framework_version
from ..specification.library import losses


def list_() -> None:
    """Losses, implementations and the frameworks that are installed."""
    for loss in losses().values():
        print(f"{loss.id:18} {loss.model.title}: {len(loss.cases)} cases, {len(loss.families)} families")
    for name in registry.implementations():
        adapter = registry.own_implementations().get(name)
        version = framework_version(adapter.name) if adapter else f"registered under {registry.ENTRY_POINTS}"
        print(f"{name:18} {version or 'not installed'}")
