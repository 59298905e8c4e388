"""The files of the specs folder that are generated: the schema of a spec, and the page of all losses and edges."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..specification.loss import Loss
from ..specification.model import SpecModel
from .coverage import page


def generated(losses: Sequence[Loss], folder: Path) -> Mapping[Path, str]:
    """The text of ``schema.json`` and ``README.md`` of the specs folder, by path."""
    schema = SpecModel.model_json_schema() | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lossmark spec",
    }
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return {folder / "schema.json": text, folder / "README.md": page(losses)}
