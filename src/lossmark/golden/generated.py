"""The files of the specs folder that are no spec: a spec's schema, the page of all losses, the edges, and all ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..specification.edges import EDGES_FILE, canonical_edges, edges
from ..specification.loss import Loss
from ..specification.model import SpecModel
from .coverage import page
from .ids import IDS_FILE, changelog


def generated(losses: Sequence[Loss], folder: Path) -> Mapping[Path, str]:
    """The text that each must have, by path; of ``edges.yaml`` its own in canonical form. Raises :class:`SpecError`."""
    schema = SpecModel.model_json_schema() | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lossmark spec",
    }
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return {
        folder / "schema.json": text,
        folder / "README.md": page(losses, edges(folder)),
        folder / EDGES_FILE: canonical_edges(folder),
        folder / IDS_FILE: changelog(losses, folder),
    }
