"""The file of a hunt: the worst inputs as rows, and beside them all that the hunt needs to go on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import LossmarkError
from ..specification.library import specs_digest
from ..version import __version__

NAMED_BY = ("impl", "loss", "dtype", "mode")
"""What names a quarry in a file."""
QuarryKey = tuple[str, ...]
HuntState = Mapping[str, Any]
"""How far a quarry has been hunted, as :meth:`.climb.Climb.state` gives it."""


def read_hunt(path: Path, seed: int) -> dict[QuarryKey, HuntState]:
    """How far each quarry of a file has been hunted; nothing where there is no file.

    Raises :class:`LossmarkError` for what is no file of a hunt, and for one of another seed or of other specs.
    """
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        about = {"seed": record["seed"], "specs": record["specs"]}
        found: dict[QuarryKey, HuntState] = {_key(part): {**part["state"], "worst": []} for part in record["hunts"]}
        for row in record["rows"]:
            found[_key(row)]["worst"].append({name: x for name, x in row.items() if name not in NAMED_BY})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LossmarkError(f"{path}: not the file of a hunt: {error!r}") from None
    for name, value in (("seed", seed), ("specs", specs_digest())):
        if about[name] != value:
            text = f"{path}: was hunted with {name} {about[name]}, and would go on with {value}: name another file"
            raise LossmarkError(text)
    return found


def write_hunt(path: Path, seed: int, states: Mapping[QuarryKey, HuntState]) -> None:
    """Write the file in place of the one before; quarries and rows are in the order of their names."""
    record = {
        "lossmark": __version__,
        "seed": seed,
        "specs": specs_digest(),
        "rows": [row for key in sorted(states) for row in rows_of(key, states[key])],
        "hunts": [
            {**_named(key), "state": {name: x for name, x in states[key].items() if name != "worst"}}
            for key in sorted(states)
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f".{path.name}.{os.getpid()}")
    whole.write_text(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    whole.replace(path)


def rows_of(key: QuarryKey, state: HuntState) -> list[dict[str, Any]]:
    """The worst inputs of a quarry: a row for each check and each aim."""
    return [{**_named(key), **row} for row in state["worst"]]


def _key(part: Mapping[str, Any]) -> QuarryKey:
    return tuple(str(part[name]) for name in NAMED_BY)


def _named(key: QuarryKey) -> dict[str, str]:
    return dict(zip(NAMED_BY, key, strict=True))
