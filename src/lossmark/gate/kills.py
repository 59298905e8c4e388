"""Mutants that the suite of the base kills and that of the head does not: the suite has become less sharp."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from .outcome import Finding

KILLED = ("killed", "proved")
"""States of a mutant that the suite sees, whether its kill is proved or observed only."""


def lost_kills(base: Path, head: Path) -> Iterator[Finding]:
    """Mutants that the base's scoreboard kills and the head's does not; nothing where the base has no scoreboard."""
    old, new = _kills(base), _kills(head)
    lost = defaultdict(list)
    for name, dtype in sorted(old - new):
        lost[name].append(dtype)
    for name, dtypes in lost.items():
        yield Finding("cells", "regression", name, f"this mutant is no longer killed in {', '.join(dtypes)}")


def _kills(root: Path) -> set[tuple[str, str]]:
    """Mutant and dtype of every kill in the scoreboard of a tree."""
    path = root / "reports" / "results" / "sharpness.json"
    if not path.is_file():
        return set()
    mutants = json.loads(path.read_text(encoding="utf-8"))["mutants"]
    return {(m["name"], dtype) for m in mutants for dtype, box in m["boxes"].items() if box["state"] in KILLED}
